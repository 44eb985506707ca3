package cli

import (
	"bufio"
	"fmt"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// table lays rows out in columns. The first rows, up to a block of them, decide how wide the columns are; those that
// follow keep to it. So a table of any length is shown as it comes. On a terminal no row is wider than the terminal.
type table struct {
	out    *bufio.Writer
	width  int  // of the terminal, in columns; 0 for no bound
	bold   bool // whether the first row is
	block  [][]string
	widths []int // nil until the first flush
	rows   int
}

// tableBlock is how many rows decide on the widths.
const tableBlock = 200

const gap = 2 // spaces between two columns

func (t *table) add(row []string) { t.block = append(t.block, row) }

func (t *table) isFull() bool { return len(t.block) >= tableBlock }

func (t *table) flush() error {
	if len(t.block) == 0 {
		return nil
	}
	if t.widths == nil {
		t.widths = fit(t.block, t.width)
	}
	for _, row := range t.block {
		line := strings.TrimRight(t.line(row), " ")
		if t.rows++; t.rows == 1 {
			line = styled(t.bold, bold, line)
		}
		if _, err := fmt.Fprintln(t.out, line); err != nil {
			return err
		}
	}
	t.block = t.block[:0]
	return nil
}

func (t *table) line(row []string) string {
	var b strings.Builder
	for i, cell := range row {
		if t.width > 0 {
			cell = runewidth.Truncate(cell, t.widths[i], "…")
		}
		if i < len(row)-1 {
			cell = runewidth.FillRight(cell, t.widths[i]+gap)
		}
		b.WriteString(cell)
	}
	return b.String()
}

// fit returns the widths of the columns. If they are too wide together, the widest ones are made narrower.
func fit(rows [][]string, width int) []int {
	widths := make([]int, len(rows[0]))
	total := gap * (len(widths) - 1)
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], runewidth.StringWidth(row[i]))
		}
		total += widths[i]
	}
	for ; width > 0 && total > width; total-- {
		widest := 0
		for i := range widths {
			if widths[i] > widths[widest] {
				widest = i
			}
		}
		if widths[widest] <= 1 {
			break
		}
		widths[widest]--
	}
	return widths
}

// printable returns a text with all characters escaped that would steer a terminal or hide what the text is:
// control characters, marks of direction and other invisible characters, and what is no UTF-8. The two joiners
// pass, which names of Persian and Indic scripts are spelled with.
func printable(text string) string {
	if strings.IndexFunc(text, isDeceptive) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !isDeceptive(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func isDeceptive(r rune) bool {
	const nonJoiner, joiner = '\u200C', '\u200D'
	return r != nonJoiner && r != joiner && (r == unicode.ReplacementChar ||
		unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point))
}

// escapeJSON returns JSON with such characters escaped: its meaning is the same, and a terminal can show it.
func escapeJSON(text []byte) []byte {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r == unicode.ReplacementChar || !isDeceptive(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := (r-0x10000)>>10+0xD800, (r-0x10000)&0x3FF+0xDC00
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return []byte(b.String())
}
