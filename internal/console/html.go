package console

import (
	"html/template"
	"strings"
	"sync"

	"github.com/rosterhq/roster/internal/api"
)

// markup is HTML that this package has as a constant. A variable of type string, such as a
// name, does not compile in its place.
type markup string

// htmlWriter writes HTML: constants as they are, and any other text escaped. What text writes
// is safe between tags and in attributes with double quotes, but in an address only if that
// begins with a path of ours, and never in a script or style.
type htmlWriter struct{ b strings.Builder }

func (w *htmlWriter) raw(m markup) { w.b.WriteString(string(m)) }

func (w *htmlWriter) text(text string) { w.b.WriteString(template.HTMLEscapeString(text)) }

// either writes one of two constants.
func (w *htmlWriter) either(condition bool, yes, no markup) {
	if condition {
		w.raw(yes)
	} else {
		w.raw(no)
	}
}

// around writes a text between two constants.
func (w *htmlWriter) around(before markup, text string, after markup) {
	w.raw(before)
	w.text(text)
	w.raw(after)
}

// html returns what is written.
func (w *htmlWriter) html() template.HTML {
	return template.HTML(w.b.String()) //nolint:gosec // G203: text has escaped what is no constant
}

// styleSheet and scripts are the files that each page loads, by their names in static.
const styleSheet = "console.css"

var scripts = []string{"htmx-4.0.1.min.js", "hx-csp-4.0.1.min.js", "console.js"}

// fileAddress returns the address at which browsers keep a file for good.
func fileAddress(name string) string {
	content, err := staticFiles.ReadFile("static/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return Prefix + "/static/" + name + "?v=" + api.FileVersion(content)
}

// fileAddresses returns the addresses of the style sheet and the scripts. The first page makes
// them, not the start.
var fileAddresses = sync.OnceValue(func() []string {
	addresses := []string{fileAddress(styleSheet)}
	for _, name := range scripts {
		addresses = append(addresses, fileAddress(name))
	}
	return addresses
})

// files returns the elements that load the style sheet and the scripts, with the nonce of an
// answer.
func files(nonce string) template.HTML {
	var w htmlWriter
	addresses := fileAddresses()
	w.around(`<link rel="stylesheet" href="`, addresses[0], `">`)
	for _, address := range addresses[1:] {
		w.around("\n"+`<script defer nonce="`, nonce, `" src="`)
		w.around("", address, `"></script>`)
	}
	return w.html()
}

// navigation returns the links to the parts of the console; current is that of the page.
func navigation(current string) template.HTML {
	var w htmlWriter
	for _, item := range [...]struct {
		name       string
		link, text markup
	}{
		{"home", `/console"`, "Home"},
		{"users", `/console/users"`, "Users"},
		{"groups", `/console/groups"`, "Groups"},
		{"tokens", `/console/tokens"`, "Tokens"},
		{"webhooks", `/console/webhooks"`, "Webhooks"},
		{"outbox", `/console/outbox"`, "Outbox"},
		{"activity", `/console/activity"`, "Activity"},
	} {
		w.raw(`<a class="item" href="`)
		w.raw(item.link)
		w.either(item.name == current, ` aria-current="page">`, `>`)
		w.around(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><use href="/console/static/icons.svg#`,
			item.name, `"/></svg>`)
		w.raw(item.text)
		w.raw("</a>\n")
	}
	return w.html()
}

// Field returns the list to choose from, with its label. A list has up to a thousand groups.
func (f filterField) Field() template.HTML {
	var w htmlWriter
	w.around(`<div class="field"><label for="f-`, f.Name, `">`)
	w.around("", f.Label, `</label><select id="f-`)
	w.around("", f.Name, `" name="`)
	w.around("", f.Name, `">`)
	w.options(f.Options)
	w.raw(`</select>`)
	if f.Hint != "" {
		w.around(`<small>`, f.Hint, `</small>`)
	}
	w.raw(`</div>`)
	return w.html()
}

// Head returns the head of a column.
func (c column) Head() template.HTML {
	var w htmlWriter
	w.raw(`<th scope="col"`)
	if c.Sort != "" {
		w.around(` aria-sort="`, c.Sort, `"`)
	}
	if c.Href == "" {
		w.around(`>`, c.Name, `</th>`)
		return w.html()
	}
	w.around(`><a href="`, c.Href, `">`)
	w.text(c.Name)
	switch c.Sort {
	case "ascending":
		w.raw(" ↑")
	case "descending":
		w.raw(" ↓")
	}
	w.raw(`</a></th>`)
	return w.html()
}

// Boxes returns the columns to choose from.
func (v usersView) Boxes() template.HTML {
	var w htmlWriter
	for _, o := range v.Choose {
		w.around(`<label class="switch"><input type="checkbox" name="columns" value="`, o.Value, `"`)
		w.either(o.On, ` checked>`, `>`)
		w.around(`<span>`, o.Text, `</span></label>`)
	}
	return w.html()
}

// GroupOptions returns the groups that the selected users can be added to.
func (b bulkBar) GroupOptions() template.HTML {
	var w htmlWriter
	w.options(b.Groups)
	return w.html()
}

func (w *htmlWriter) options(options []option) {
	for _, o := range options {
		w.around(`<option value="`, o.Value, `"`)
		w.either(o.On, ` selected`, ``)
		w.either(o.Denied, ` disabled>`, `>`)
		w.around("", o.Text, `</option>`)
	}
}

// Table returns the rows as HTML. They are most of the most used page, and html/template takes
// ten times as long. TestWrittenAsByATemplate compares the two.
func (v usersView) Table() template.HTML {
	const rowSize = 700 // bytes of a usual row
	var w htmlWriter
	w.b.Grow(rowSize * len(v.Rows))
	for i := range v.Rows {
		w.userRow(&v.Rows[i], v.Show)
	}
	return w.html()
}

// userRow writes a row of the list of users, with the columns that are shown.
func (w *htmlWriter) userRow(row *listRow, show shown) {
	w.around(`<tr><td><input type="checkbox" name="userId" value="`, row.ID, `" aria-label="Select `)
	w.around("", row.Name, `"></td><td><div class="person"><span class="face" aria-hidden="true">`)
	w.around("", row.Initials, `</span><span><a href="/console/users/`)
	w.around("", row.ID, `"><bdi>`)
	w.around("", row.Name, `</bdi></a>`)
	w.either(row.Masked, `<span class="quiet masked"><span class="hidden">e-mail address, hidden: </span>`,
		`<span class="quiet">`)
	w.around(`<bdi>`, row.Email, `</bdi></span></span></div></td>`)
	if show.Status {
		w.either(row.Active, `<td><span class="state">Active</span></td>`, `<td><span class="state off">Inactive</span></td>`)
	}
	if show.Groups {
		w.raw(`<td class="wide">`)
		for _, group := range row.Groups {
			w.around(`<span class="tag"><bdi>`, group, `</bdi></span>`)
		}
		w.raw(`</td>`)
	}
	if show.TFA {
		w.either(row.TFA, `<td class="wide">On</td>`, `<td class="wide">Off</td>`)
	}
	if show.Signin {
		w.time(row.Signin)
	}
	if show.Created {
		w.time(row.Created)
	}
	if show.Phone {
		w.phone(row)
	}
	if show.ID {
		w.around(`<td class="wide mono">`, row.ID, `</td>`)
	}
	w.raw("</tr>\n")
}

// time writes a cell with a time.
func (w *htmlWriter) time(m moment) {
	if m.ISO == "" {
		w.raw(`<td class="wide quiet">never</td>`)
		return
	}
	w.around(`<td class="wide quiet"><time datetime="`, m.ISO, `" title="`)
	w.around("", m.Exact, `">`)
	w.around("", m.Text, `</time></td>`)
}

// phone writes a cell with a phone number, which can be a mask.
func (w *htmlWriter) phone(row *listRow) {
	switch {
	case row.Phone == "":
		w.raw(`<td class="wide"><span class="quiet">none</span></td>`)
	case row.Masked:
		w.around(`<td class="wide"><span class="masked"><span class="hidden">phone number, hidden: </span>`, row.Phone,
			`</span></td>`)
	default:
		w.around(`<td class="wide">`, row.Phone, `</td>`)
	}
}
