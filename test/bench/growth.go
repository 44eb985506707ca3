package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"time"
)

// grows are the lists of the picture, and the colours of their lines.
var grows = []struct{ name, colour string }{
	{plain, "#1b6ca8"},
	{"by id, offset 90 %", "#2a9d5c"},
	{"by name, offset 50 %", "#c77d0a"},
	{"filter[tfa]", "#7a4fb5"},
	{"group, by name, offset 9 %", "#b3324a"},
	{"filter[q], a whole address", "#1f8a8a"},
	{"filter[q]=example", "#5a5a5a"},
}

// growth returns an SVG: how long lists take by the number of users, both in powers of ten.
func growth(users []int, grown []times) []byte {
	const width, height, left, right, top, bottom = 760, 420, 60, 230, 20, 40
	const fastest, slowest = 0.1, 10_000.0 // ms
	log := math.Log10
	first, last := log(float64(users[0])), log(float64(users[len(users)-1]))
	x := func(n float64) float64 {
		return left + (log(n)-first)/max(last-first, 1)*(width-left-right)
	}
	y := func(ms float64) float64 {
		part := (log(min(max(ms, fastest), slowest)) - log(fastest)) / (log(slowest) - log(fastest))
		return height - bottom - part*(height-bottom-top)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+
		"\n<title>Lists of users: milliseconds by the number of users</title>\n"+
		`<rect width="100%%" height="100%%" fill="#fff"/>`+"\n", width, height)
	for ms := fastest; ms <= slowest; ms *= 10 {
		fmt.Fprintf(&b, `<path d="M%d %.0fH%d" stroke="#ddd"/><text x="%d" y="%.0f" text-anchor="end">%g ms</text>`+"\n",
			left, y(ms), width-right, left-6, y(ms)+4, math.Round(ms*10)/10)
	}
	for _, n := range users {
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">%s</text>`+"\n",
			x(float64(n)), height-bottom+20, thousands(int64(n)))
	}
	for i, g := range grows {
		var points string
		for j, n := range users {
			ms := float64(grown[j][g.name]) / float64(time.Millisecond)
			points += fmt.Sprintf("%.1f,%.1f ", x(float64(n)), y(ms))
		}
		const line = 22
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+
			`<path d="M%d %dh16" stroke="%s" stroke-width="2"/><text x="%d" y="%d">%s</text>`+"\n", points, g.colour,
			width-right+16, top+16+i*line, g.colour, width-right+38, top+20+i*line, html.EscapeString(g.name))
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
