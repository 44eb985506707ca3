package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Terminal has the streams of the process. What could not be written to Out is an error of Close.
type Terminal struct {
	In  *os.File
	Out *Output
	Err io.Writer

	width     int  // of the terminal that Out is, in columns; 0 if it is none
	colour    bool // whether Out takes colours
	errColour bool // whether Err does
	errShown  bool // whether Err is a terminal
	inShown   bool // whether In is a terminal: it shows what is typed, unless it is told not to
	lines     *bufio.Reader
}

// NewTerminal returns the streams of the process.
func NewTerminal(in, out, err *os.File) *Terminal {
	t := &Terminal{In: in, Out: &Output{w: out}, Err: err, lines: bufio.NewReader(in)}
	if term.IsTerminal(int(out.Fd())) {
		t.width = 80
		if width, _, err := term.GetSize(int(out.Fd())); err == nil && width > 0 {
			t.width = width
		}
	}
	colours := os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	t.errShown = term.IsTerminal(int(err.Fd()))
	t.colour, t.errColour = colours && t.width > 0, colours && t.errShown
	t.inShown = term.IsTerminal(int(in.Fd()))
	return t
}

// Output is a stream that remembers its first error, so that a full disk is no success.
type Output struct {
	w   io.Writer
	err error
}

// Write writes, unless there was an error before.
func (o *Output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	if err != nil {
		o.err = fmt.Errorf("writing the output: %w", err)
	}
	return n, o.err
}

// Failed returns the first error of writing.
func (o *Output) Failed() error { return o.err }

// say writes a line for people.
func (t *Terminal) say(format string, args ...any) {
	fmt.Fprintln(t.Err, lines(fmt.Sprintf(format, args...)))
}

// ask returns the answer to a question. A secret is not shown while it is typed. Without a terminal it is the next
// line of the standard input.
func (t *Terminal) ask(ctx context.Context, question string, secret bool) (string, error) {
	if !t.inShown {
		return t.line()
	}
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	descriptor := int(t.In.Fd())
	before, err := term.GetState(descriptor)
	if err != nil {
		return "", err
	}
	go func() {
		text, err := t.answer(lines(question)+": ", secret)
		answers <- answer{text, err}
	}()
	var a answer
	select {
	case <-ctx.Done(): // by a signal; the reader waits for a line that does not come
		a.err = ctx.Err()
	case a = <-answers:
	}
	if err := term.Restore(descriptor, before); err != nil {
		return "", err
	}
	if a.err != nil {
		fmt.Fprintln(t.Err)
	}
	return a.text, a.err
}

// answer asks on the terminal. For a secret, the terminal stops to show what is typed before it shows the question.
func (t *Terminal) answer(question string, secret bool) (string, error) {
	if !secret {
		fmt.Fprint(t.Err, question)
		return t.line()
	}
	if _, err := term.MakeRaw(int(t.In.Fd())); err != nil {
		return "", err
	}
	text, err := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{t.In, t.Err}, "").ReadPassword(question)
	if errors.Is(err, io.EOF) { // Ctrl-C or Ctrl-D, which are no signals then
		err = context.Canceled
	}
	return text, err
}

// NewPassword asks for a password, twice if there is a terminal. It fails when the two differ.
func (t *Terminal) NewPassword(ctx context.Context) (string, error) {
	password, err := t.ask(ctx, "Password", true)
	if err != nil || !t.inShown {
		return password, err
	}
	again, err := t.ask(ctx, "Once more", true)
	if err == nil && password != again {
		err = Usage("the two passwords differ")
	}
	return password, err
}

// maxLine bounds a line of an answer, in bytes.
const maxLine = 64 << 10

func (t *Terminal) line() (string, error) {
	var text []byte
	for {
		part, isPrefix, err := t.lines.ReadLine()
		text = append(text, part...)
		switch {
		case errors.Is(err, io.EOF):
			return "", Usage("an answer is missing on the standard input")
		case err != nil:
			return "", err
		case len(text) > maxLine:
			return "", Usage("a line of the standard input is too long")
		case !isPrefix:
			return string(text), nil
		}
	}
}

// asks reports whether there is somebody who sees a question and can answer it.
func (t *Terminal) asks() bool { return t.inShown && t.errShown }

// confirm asks before something that cannot be taken back. yes is the answer of --yes. It fails where there is
// nobody to ask, and for every answer but yes.
func (t *Terminal) confirm(ctx context.Context, yes bool, format string, args ...any) error {
	if yes {
		return nil
	}
	question := fmt.Sprintf(format, args...)
	if !t.asks() {
		return Usage("%s There is no terminal to ask on: add --yes to do it", question)
	}
	answer, err := t.ask(ctx, question+" [y/N]", false)
	if err != nil {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing is changed")
}

// Styles of ECMA-48.
const (
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
)

// styled returns a text in a style if the stream takes colours.
func styled(colours bool, style, text string) string {
	if !colours {
		return text
	}
	return style + text + "\x1b[0m"
}
