package cli

import (
	"fmt"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress tells how far a long command is: a bar with rate and remaining time on a terminal, else a line now and then.
type progress struct {
	t     *Terminal
	what  string
	unit  string
	total int64
	bars  *mpb.Progress // nil without a terminal
	bar   *mpb.Bar
	begun time.Time
	told  time.Time
}

// progress begins something that has so many parts: rows, or bytes where unit is "B".
func (t *Terminal) progress(what, unit string, total int64) *progress {
	p := &progress{t: t, what: what, unit: "rows", total: total, begun: time.Now(), told: time.Now()}
	if unit == "B" {
		p.unit = "bytes"
	}
	if !t.errShown {
		return p
	}
	count, rate := decor.CountersNoUnit("%d / %d rows"), decor.AverageSpeed(0, "%.0f rows/s")
	if unit == "B" {
		count, rate = decor.CountersKibiByte("% .1f / % .1f"), decor.AverageSpeed(decor.SizeB1024(0), "% .1f")
	}
	const barWidth = 64
	p.bars = mpb.New(mpb.WithOutput(t.Err), mpb.WithWidth(barWidth))
	p.bar = p.bars.AddBar(total,
		mpb.PrependDecorators(decor.Name(what+" "), count),
		mpb.AppendDecorators(rate, decor.Name(", "), decor.AverageETA(decor.ET_STYLE_GO), decor.Name(" left")),
	)
	return p
}

// set says how many parts are done.
func (p *progress) set(done int64) {
	const often = 10 * time.Second
	switch {
	case p.bar != nil:
		p.bar.SetCurrent(done)
	case time.Since(p.told) >= often:
		p.told = time.Now()
		spent := p.told.Sub(p.begun)
		left := time.Duration(float64(spent) * float64(p.total-done) / float64(max(done, 1))).Round(time.Second)
		rate := float64(done) / spent.Seconds()
		p.t.say("%s: %d of %d %s, %.0f per second, %s left", p.what, done, p.total, p.unit, rate, left)
	}
}

// say writes a line for people, above a bar.
func (p *progress) say(format string, args ...any) {
	if p.bars == nil {
		p.t.say(format, args...)
		return
	}
	fmt.Fprintln(p.bars, lines(fmt.Sprintf(format, args...)))
}

// end leaves the bar as it is.
func (p *progress) end() {
	if p.bars == nil {
		return
	}
	if !p.bar.Completed() {
		p.bar.Abort(false)
	}
	p.bars.Wait()
}
