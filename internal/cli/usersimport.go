package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rosterhq/roster/internal/userfile"
	"github.com/rosterhq/roster/pkg/client"
)

type usersImportCommand struct {
	remote

	File   string            `arg:"" help:"The file: CSV with a header, or NDJSON, with the fields of a user as names."`
	Format string            `enum:",csv,ndjson" default:"" help:"csv or ndjson. Without it, the file's name tells."`
	From   string            `enum:",keycloak,kratos,pocketbase" default:"" help:"Of another system: keycloak, kratos, pocketbase."`
	Map    map[string]string `mapsep:"," placeholder:"COLUMN=FIELD" help:"The field that a column is; COLUMN= leaves it out."`
	DryRun bool              `help:"Plan and show what would be done, and do nothing."`
	Yes    bool              `help:"Do not ask."`
	Errors string            `placeholder:"FILE" help:"Write the rows that have failed to this file, as NDJSON."`
	Resume int64             `placeholder:"JOB" help:"Go on with an import that was interrupted."`
}

// errorMember is the member of a failed row that says why. An import leaves it out, so that a file of failed rows
// can be corrected and imported.
const errorMember = "importError"

// Run plans an import, shows the plan, asks, and does it. What was interrupted goes on with --resume. It fails if a row
// has failed.
func (u usersImportCommand) Run(ctx context.Context, sh *Shell) error {
	roster, err := u.connect(ctx, sh, client.Retries(importRetries))
	if err != nil {
		return err
	}
	if err := u.check(); err != nil {
		return err
	}
	job, err := u.job(ctx, roster)
	if err != nil {
		return err
	}
	sh.say("The import is job %d. If it is interrupted, go on with --resume %[1]d.", job.ID)
	return u.run(ctx, sh, roster, job)
}

// unfinished says how to go on after an error that leaves an import as it is.
func (u usersImportCommand) unfinished(sh *Shell, job client.Job, err error) error {
	if job.State == "running" {
		sh.say("The server goes on with the import. To follow it: roster users import %s --resume %d", u.File, job.ID)
	} else {
		sh.say("The import is not finished. To go on: roster users import %s --resume %d", u.File, job.ID)
	}
	return err
}

// importRetries is how often a call is repeated: with growing waits, for about half a minute.
const importRetries = 7

var errDeclined = errors.New("nothing is imported")

// check opens the file before anything else is done.
func (u usersImportCommand) check() error {
	file, _, err := u.open()
	if err != nil {
		return err
	}
	return file.Close()
}

// job returns the job to resume, or a new one.
func (u usersImportCommand) job(ctx context.Context, roster *client.Client) (client.Job, error) {
	if u.Resume == 0 {
		return roster.Jobs.Plan(ctx, client.JobPlan{Action: "import"})
	}
	job, err := roster.Jobs.Get(ctx, u.Resume)
	if err == nil && job.Action != "import" {
		err = Usage("job %d is no import", u.Resume)
	}
	return job, err
}

func (u usersImportCommand) run(ctx context.Context, sh *Shell, roster *client.Client, job client.Job) error {
	if job.State == "planned" {
		plan, err := u.plan(ctx, sh, roster, job)
		if err != nil {
			return u.unfinished(sh, job, err)
		}
		if meant, err := u.confirmed(ctx, sh, roster, job, plan); err != nil || !meant {
			return err
		}
	}
	if job.State == "planned" || job.State == "stopped" {
		started, err := roster.Jobs.Start(ctx, job.ID)
		if err != nil {
			return u.unfinished(sh, job, err)
		}
		job = started
	}
	job, err := sh.follow(ctx, roster, job)
	if err != nil {
		return u.unfinished(sh, job, err)
	}
	sh.say("%d rows: %d done, %d unchanged, %d skipped, %d failed.",
		job.Total, job.Done, job.Unchanged, job.Skipped, job.Failed)
	if err := u.writeErrors(ctx, sh, roster, job.ID); err != nil {
		return err
	}
	switch {
	case job.State == "stopped":
		return u.unfinished(sh, job, fmt.Errorf("the import has stopped: %s", job.Message))
	case job.State == "cancelled":
		return &codedError{ExitConflict, "the import has been cancelled"}
	case job.Failed+job.Skipped > 0:
		return &codedError{ExitInvalid, fmt.Sprintf("%d of %d rows have failed", job.Failed+job.Skipped, job.Total)}
	}
	return nil
}

// open returns the file and what reads its users.
func (u usersImportCommand) open() (*os.File, *userfile.Reader, error) {
	format := userfile.Format(u.From)
	switch {
	case u.From != "" && u.Format != "":
		return nil, nil, Usage("--from says what the file is: take --format away")
	case u.From == "" && u.Format != "":
		format = userfile.Format(u.Format)
	case u.From == "":
		switch extension := strings.ToLower(filepath.Ext(u.File)); extension {
		case ".csv", ".tsv":
			format = userfile.CSV
		case ".ndjson", ".jsonl":
			format = userfile.NDJSON
		default:
			return nil, nil, Usage("what %s is cannot be told by its name: add --format or --from", u.File)
		}
	}
	names := map[string]string{}
	for name, field := range u.Map {
		names[name] = field
	}
	if format == userfile.NDJSON {
		names[errorMember] = ""
	}
	file, err := os.Open(u.File)
	if err != nil {
		return nil, nil, Usage("%s", err)
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = file.Close()
		return nil, nil, Usage("%s is no file; an import that is interrupted reads it once more", u.File)
	}
	rows, err := userfile.Open(format, file, names)
	if err != nil {
		_ = file.Close()
		return nil, nil, &codedError{ExitInvalid, u.File + ": " + err.Error()}
	}
	return file, rows, nil
}

// maxBatch bounds the rows of a call, in bytes. The API takes 1 MiB.
const maxBatch = 900 << 10

// maxShown is how many errors and notes are shown.
const maxShown = 10

// plan sends the rows that the job has not yet.
func (u usersImportCommand) plan(
	ctx context.Context, sh *Shell, roster *client.Client, job client.Job,
) (plan client.ImportPlan, err error) {
	file, rows, err := u.open()
	if err != nil {
		return plan, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return plan, err
	}
	bar := sh.progress("reading", "B", info.Size())
	defer func() { bar.end() }()
	var batch []json.RawMessage
	size, notes := 0, 0
	send := func() error {
		plan, err = roster.Jobs.AddRows(ctx, job.ID, job.Total+1, batch)
		if err != nil {
			return err
		}
		job.Total, batch, size = plan.Received, nil, 0
		at, err := file.Seek(0, io.SeekCurrent)
		bar.set(at)
		return err
	}
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return plan, send()
		}
		if err != nil {
			return plan, &codedError{ExitInvalid, u.File + ": " + err.Error()}
		}
		for _, note := range row.Notes {
			if notes++; notes <= maxShown {
				bar.say("row %d: %s %s", row.Number, note.Field, note.Reason)
			} else if notes == maxShown+1 {
				bar.say("There are more such remarks.")
			}
		}
		if row.Number <= job.Total { // an earlier run has sent it
			continue
		}
		text, err := json.Marshal(row.Fields)
		if err != nil {
			return plan, err
		}
		if len(batch) == client.MaxRowsPerCall || size+len(text) > maxBatch {
			if err := send(); err != nil {
				return plan, err
			}
		}
		batch, size = append(batch, text), size+len(text)+1
	}
}

// confirmed shows the plan and asks whether to do it. The job of an import that is not done is cancelled, so that no
// hash of a password stays in it.
func (u usersImportCommand) confirmed(
	ctx context.Context, sh *Shell, roster *client.Client, job client.Job, plan client.ImportPlan,
) (bool, error) {
	sh.say("%d rows: %d to create, %d to update, %d the same, %d with errors.",
		plan.Received, plan.Create, plan.Update, plan.Same, plan.Error)
	if plan.Error > 0 {
		failed := roster.Jobs.Items(ctx, job.ID, client.JobItemList{State: "failed", Size: maxShown})
		for item, err := range first(maxShown, failed) {
			if err != nil {
				return false, err
			}
			sh.say("  %s", itemError(item))
		}
		if plan.Error > maxShown {
			sh.say("  … and %d more; --errors FILE writes them all.", plan.Error-maxShown)
		}
	}
	var err error
	switch {
	case u.DryRun:
		sh.say("This is a dry run: nothing is imported.")
	case plan.Create+plan.Update == 0:
		sh.say("There is nothing to import.")
	default:
		err = sh.confirm(ctx, u.Yes, "Import them?")
		if err == nil {
			return true, nil
		}
		if ctx.Err() != nil {
			return false, u.unfinished(sh, job, err)
		}
		if ExitCode(err) == ExitFailure {
			err = errDeclined
		}
	}
	if writeErr := u.writeErrors(ctx, sh, roster, job.ID); writeErr != nil {
		return false, writeErr
	}
	if _, cancelErr := roster.Jobs.Cancel(ctx, job.ID); cancelErr != nil {
		return false, cancelErr
	}
	if err == nil && plan.Error > 0 {
		err = &codedError{ExitInvalid, fmt.Sprintf("%d of %d rows have errors", plan.Error, plan.Received)}
	}
	return false, err
}

func itemError(item client.JobItem) string {
	text := fmt.Sprintf("row %d: ", item.Row)
	if item.Email != "" {
		text += item.Email + ": "
	}
	if item.Field != "" {
		text += item.Field + " "
	}
	return text + item.Message
}

// follow waits for the end of a job.
func (sh *Shell) follow(ctx context.Context, roster *client.Client, job client.Job) (client.Job, error) {
	bar := sh.progress("importing", "", job.Total)
	defer bar.end()
	const pause = 300 * time.Millisecond
	for {
		bar.set(job.Done + job.Unchanged + job.Skipped + job.Failed)
		if job.State != "running" {
			return job, nil
		}
		select {
		case <-ctx.Done():
			return job, ctx.Err()
		case <-time.After(pause):
		}
		var err error
		if job, err = roster.Jobs.Get(ctx, job.ID); err != nil {
			return job, err
		}
	}
}

// writeErrors writes the rows that have failed, each with the reason, to the file of --errors. It reads the users once
// more: the server does not keep what it has refused.
func (u usersImportCommand) writeErrors(
	ctx context.Context, sh *Shell, roster *client.Client, jobID int64,
) (err error) {
	if u.Errors == "" {
		return nil
	}
	// It can hold hashes of passwords.
	out, err := os.OpenFile(u.Errors, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	written := 0
	for _, state := range []string{"failed", "skipped"} {
		items := roster.Jobs.Items(ctx, jobID, client.JobItemList{State: state, Size: maxPage})
		n, err := u.writeRows(out, items)
		if err != nil {
			return err
		}
		written += n
	}
	sh.say("%d rows are written to %s.", written, u.Errors)
	return nil
}

// writeRows writes the rows of the file that items are about, which come by their numbers.
func (u usersImportCommand) writeRows(out io.Writer, items iter.Seq2[client.JobItem, error]) (written int, err error) {
	file, rows, err := u.open()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for item, err := range items {
		if err != nil {
			return written, err
		}
		row, err := rows.Next()
		for err == nil && row.Number < item.Row {
			row, err = rows.Next()
		}
		if err != nil {
			return written, err
		}
		row.Fields[errorMember] = strings.TrimPrefix(itemError(item), fmt.Sprintf("row %d: ", item.Row))
		if err := encoder.Encode(row.Fields); err != nil {
			return written, err
		}
		written++
	}
	return written, nil
}
