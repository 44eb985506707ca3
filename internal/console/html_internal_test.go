package console

import (
	"html/template"
	"net/url"
	"strings"
	"testing"
)

// rowTemplate is what Table writes, as a template.
const rowTemplate = `{{$show := .Show}}{{range .Rows}}<tr><td><input type="checkbox" name="userId" value="{{.ID}}" aria-label="Select {{.Name}}"></td><td><div class="person"><span class="face" aria-hidden="true">{{.Initials}}</span><span><a href="/console/users/{{.ID}}"><bdi>{{.Name}}</bdi></a>{{if .Masked}}<span class="quiet masked"><span class="hidden">e-mail address, hidden: </span>{{else}}<span class="quiet">{{end}}<bdi>{{.Email}}</bdi></span></span></div></td>
{{- if $show.Status}}<td>{{if .Active}}<span class="state">Active</span>{{else}}<span class="state off">Inactive</span>{{end}}</td>{{end}}
{{- if $show.Groups}}<td class="wide">{{range .Groups}}<span class="tag"><bdi>{{.}}</bdi></span>{{end}}</td>{{end}}
{{- if $show.TFA}}<td class="wide">{{if .TFA}}On{{else}}Off{{end}}</td>{{end}}
{{- if $show.Signin}}<td class="wide quiet">{{with .Signin}}{{if .ISO}}<time datetime="{{.ISO}}" title="{{.Exact}}">{{.Text}}</time>{{else}}never{{end}}{{end}}</td>{{end}}
{{- if $show.Created}}<td class="wide quiet">{{with .Created}}{{if .ISO}}<time datetime="{{.ISO}}" title="{{.Exact}}">{{.Text}}</time>{{else}}never{{end}}{{end}}</td>{{end}}
{{- if $show.Phone}}<td class="wide">{{if .Phone}}{{if .Masked}}<span class="masked"><span class="hidden">phone number, hidden: </span>{{.Phone}}</span>{{else}}{{.Phone}}{{end}}{{else}}<span class="quiet">none</span>{{end}}</td>{{end}}
{{- if $show.ID}}<td class="wide mono">{{.ID}}</td>{{end}}</tr>
{{end}}`

// fieldTemplate is what Field writes, as a template.
const fieldTemplate = `<div class="field"><label for="f-{{.Name}}">{{.Label}}</label><select id="f-{{.Name}}" name="{{.Name}}">{{range .Options}}<option value="{{.Value}}"{{if .On}} selected{{end}}{{if .Denied}} disabled{{end}}>{{.Text}}</option>{{end}}</select>{{with .Hint}}<small>{{.}}</small>{{end}}</div>`

// headTemplate is what Head writes, and boxTemplate what Boxes writes, as templates.
const (
	headTemplate = `<th scope="col"{{with .Sort}} aria-sort="{{.}}"{{end}}>{{if .Href}}<a href="{{.Href}}">{{.Name}}{{if eq .Sort "ascending"}} ↑{{else if eq .Sort "descending"}} ↓{{end}}</a>{{else}}{{.Name}}{{end}}</th>`
	boxTemplate  = `{{range .Choose}}<label class="switch"><input type="checkbox" name="columns" value="{{.Value}}"{{if .On}} checked{{end}}><span>{{.Text}}</span></label>{{end}}`
)

// hostileTexts are names and addresses that try to be more than text.
var hostileTexts = []string{
	"", "Mary Ann Evans", "<img src=x onerror=alert(1)>", `" onmouseover="alert(1)`, "' autofocus onfocus='alert(1)",
	"</bdi></td></tr></table><script>alert(1)</script>", "<!--", "-->", "<![CDATA[", "&lt;b&gt; &amp;&#60;", "{{.ID}}",
	"javascript:alert(1)", "a\x00b", "\xff\xfe", "\u202eevil\u202c", "line\nbreak\ttab\r", "`${alert(1)}`", "😀\u200d",
	strings.Repeat("界", 255), "O’Connor & Sons", "+37060000001", "</textarea></title>", "<svg/onload=alert(1)>", "\u2028\ufeff",
}

// TestWrittenAsByATemplate checks that each hostile text, in each place of a row and of a list to
// choose from, is escaped as html/template escapes it, and that nothing else differs.
func TestWrittenAsByATemplate(t *testing.T) {
	t.Parallel()
	rows := template.Must(template.New("").Parse(rowTemplate))
	field := template.Must(template.New("").Parse(fieldTemplate))
	head := template.Must(template.New("").Parse(headTemplate))
	boxes := template.Must(template.New("").Parse(boxTemplate))
	check := func(reference *template.Template, data any, got template.HTML) {
		t.Helper()
		var want strings.Builder
		if err := reference.Execute(&want, data); err != nil {
			t.Fatal(err)
		}
		// html/template escapes this one for UTF-7, which no browser reads any more.
		if wanted := strings.ReplaceAll(want.String(), "&#43;", "+"); string(got) != wanted {
			t.Errorf("%s\nwant\n%s", got, wanted)
		}
	}
	for _, text := range hostileTexts {
		for bits := range 1 << 4 {
			on := func(bit int) bool { return bits&(1<<bit) != 0 }
			view := usersView{
				Show: shown{on(0), on(1), on(2), on(3), on(0), on(1), on(2)},
				Rows: []listRow{
					{
						ID: "7", Name: text, Initials: text, Email: text, Phone: text, Masked: on(0), Active: on(1), TFA: on(2),
						Groups: []string{text, "Support"}, Signin: moment{text, text, text}, Created: moment{text, text, text},
					},
					{ID: "8", Name: text, Masked: on(3), Groups: []string{}, Created: moment{"1", "2", "3"}},
				},
			}
			check(rows, view, view.Table())
			options := []option{{text, text, on(0), on(1)}, {"", "any", on(2), on(3)}}
			choice := filterField{Name: text, Label: text, Hint: text, Options: options}
			check(field, choice, choice.Field())
			view.Choose = options
			check(boxes, view, view.Boxes())
			for _, sort := range []string{"", "ascending", "descending"} {
				check(head, column{Name: text, Sort: sort}, column{Name: text, Sort: sort}.Head())
			}
			linked := column{
				Name: text, Sort: "ascending",
				Href: addressWith(url.Values{paramSearch: {text}}, usersPath, paramSort, text),
			}
			check(head, linked, linked.Head())
		}
	}
}
