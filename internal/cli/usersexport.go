package cli

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
)

type usersExportCommand struct {
	remote
	userFilter

	Format string `default:"csv" enum:"csv,ndjson" help:"csv or ndjson."`
}

// Run writes the users while they come. What is written after an error is no whole file.
func (u usersExportCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := u.connect(ctx, sh)
	if err != nil {
		return err
	}
	which, err := u.list(ctx, roster)
	if err != nil {
		return err
	}
	file, err := roster.Users.Export(ctx, which, u.Format)
	if err != nil {
		return err
	}
	if sh.width == 0 {
		_, err = io.Copy(sh.Out, file)
	} else {
		err = copyPrintable(sh.Out, file)
	}
	return errors.Join(err, file.Close())
}

// copyPrintable copies lines to a terminal, which they cannot steer.
func copyPrintable(out io.Writer, file io.Reader) error {
	text := bufio.NewReader(file)
	for {
		line, err := text.ReadString('\n')
		if line != "" {
			if _, err := io.WriteString(out, printable(strings.TrimRight(line, "\r\n"))+"\n"); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
