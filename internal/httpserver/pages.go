package httpserver

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/oasdiff/yaml"

	"github.com/rosterhq/roster/internal/api"
)

//go:embed docs/*.html docs/*.js docs/*.gz docs/*.txt pages
var pageFiles embed.FS

// pagePolicy lets a page run only its own scripts and reach only this server. No page
// posts a form: scripts handle the forms.
const pagePolicy = "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; object-src 'none'"

var pageTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".txt":  "text/plain; charset=utf-8",
	".svg":  "image/svg+xml",
	".yaml": "application/yaml",
	".json": "application/json",
}

// registerPages serves the contract of the first dialect at /openapi.yaml, those of
// the others at /openapi/NAME.yaml, each as JSON beside it, an HTML page for all of them
// at /docs, and the page that the links in mails lead to, with a link to signIn unless it is
// "". The root leads to home.
func registerPages(e *echo.Echo, dialects []api.Dialect, home, signIn string) {
	for i, dialect := range dialects {
		if dialect.Contract == nil {
			continue
		}
		address := "/openapi"
		if i > 0 {
			address += "/" + dialect.Name
		}
		serveGet(e, address+".yaml", newAsset("openapi.yaml", dialect.Contract).serve)
		serveGet(e, address+".json", serveJSON(dialect.Contract))
	}
	serveGet(e, "/", func(c echo.Context) error { return c.Redirect(http.StatusFound, home) })
	registerPage(e, "docs", "index.html", "/docs", "/docs/:file", "")
	link := ""
	if signIn != "" {
		link = `<a id="signin" href="../` + signIn + `">Back to the sign-in</a>`
	}
	registerPage(e, "pages", "reset.html", "/password/reset", "/password/:file", link)
}

// serveJSON returns a handler that serves a YAML document as JSON. The first request makes
// it: that takes too long for the start.
func serveJSON(document []byte) echo.HandlerFunc {
	made := sync.OnceValues(func() (*asset, error) {
		content, err := yaml.YAMLToJSON(document)
		if err != nil {
			return nil, fmt.Errorf("the contract as JSON: %w", err)
		}
		return newAsset("openapi.json", content), nil
	})
	return func(c echo.Context) error {
		a, err := made()
		if err != nil {
			return err
		}
		return a.serve(c)
	}
}

func serveGet(e *echo.Echo, path string, h echo.HandlerFunc) {
	e.GET(path, h)
	e.HEAD(path, h)
}

// linkMark is where a page has its link to the sign-in.
const linkMark = "<!-- sign in -->"

// registerPage serves the page of a folder, with a link in the place of linkMark, and the
// files that the page needs.
func registerPage(e *echo.Echo, folder, page, pagePath, filePath, link string) {
	files, err := fs.Sub(pageFiles, folder)
	if err != nil {
		panic(err) // it is embedded
	}
	assets := assetsIn(files)
	content := bytes.Replace(assets[page].plain(), []byte(linkMark), []byte(link), 1)
	serveGet(e, pagePath, newAsset(page, content).serve)
	delete(assets, page) // its links are relative to its own path
	serveAssets(e, assets, filePath)
}

// registerFiles serves the files of a folder by their names.
func registerFiles(e *echo.Echo, files fs.FS, path string) { serveAssets(e, assetsIn(files), path) }

// assetsIn returns the files of an embedded folder.
func assetsIn(files fs.FS) map[string]*asset {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(err) // it is embedded
	}
	assets := map[string]*asset{}
	for _, entry := range entries {
		content, err := fs.ReadFile(files, entry.Name())
		if err != nil {
			panic(err)
		}
		a := newAsset(entry.Name(), content)
		assets[a.name] = a
	}
	return assets
}

func serveAssets(e *echo.Echo, assets map[string]*asset, path string) {
	serveGet(e, path, func(c echo.Context) error {
		a, ok := assets[c.Param("file")]
		if !ok {
			return echo.ErrNotFound
		}
		return a.serve(c)
	})
}

// asset is a file that is compressed when it is first asked for, unless it is stored so.
type asset struct {
	name  string
	hash  string
	gzip  func() []byte
	plain func() []byte
}

// newAsset returns the asset for a file. A file whose name ends in .gz is already
// compressed.
func newAsset(name string, content []byte) *asset {
	a := &asset{}
	if plainName, ok := strings.CutSuffix(name, ".gz"); ok {
		a.name, a.gzip = plainName, func() []byte { return content }
		a.plain = sync.OnceValue(func() []byte { return decompress(content) })
	} else {
		a.name, a.plain = name, func() []byte { return content }
		a.gzip = sync.OnceValue(func() []byte { return compress(content) })
	}
	a.hash = api.FileVersion(content)
	return a
}

func (a *asset) serve(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Type", pageTypes[path.Ext(a.name)])
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	// Browsers check the ETag each time, so an upgrade shows at once, unless the address changes
	// with the file. During an upgrade, a page can ask the version before for its files.
	if c.QueryParam("v") == a.hash {
		h.Set("Cache-Control", "public, max-age=31536000, immutable") // a year (RFC 8246)
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	h.Add("Vary", "Accept-Encoding")

	content, etag := a.plain, a.hash
	if acceptsGzip(c.Request().Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		content, etag = a.gzip, a.hash+"-gzip"
	}
	h.Set("ETag", strconv.Quote(etag))
	http.ServeContent(c.Response(), c.Request(), "", time.Time{}, bytes.NewReader(content()))
	return nil
}

// acceptsGzip reports whether an Accept-Encoding header names gzip and does not exclude
// it. It ignores the wildcard, because a plain answer always works.
func acceptsGzip(header string) bool {
	for item := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(item, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
		return err != nil || q > 0
	}
	return false
}

func compress(plain []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(plain) // a bytes.Buffer returns no error
	_ = w.Close()
	return buf.Bytes()
}

func decompress(compressed []byte) []byte {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		panic(fmt.Sprintf("embedded file: %v", err))
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		panic(fmt.Sprintf("embedded file: %v", err))
	}
	return plain
}
