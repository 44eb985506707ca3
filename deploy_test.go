package roster

import (
	"go/version"
	"net"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oasdiff/yaml"
)

// settings are the variables that Roster reads; those that are secret have a _FILE variant too.
var settings = []string{
	"PORT", "ROSTER_ADDR", "DATABASE_URL", "ROSTER_PUBLIC_URL", "ROSTER_ADMIN_TOKEN", "ROSTER_ADMIN_EMAIL",
	"ROSTER_ADMIN_PASSWORD", "ROSTER_BCRYPT_COST", "ROSTER_TRUSTED_PROXIES", "ROSTER_SMTP_URL",
	"ROSTER_WEBHOOK_ALLOW_PRIVATE", "ROSTER_METRICS_ADDR", "ROSTER_LOG_LEVEL",
}

func isSetting(name string) bool {
	return slices.Contains(settings, strings.TrimSuffix(name, "_FILE"))
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// stage is what follows one FROM: each instruction's arguments, in order.
type stage map[string][]string

func (s stage) last(instruction string) string {
	args := s[instruction]
	if len(args) == 0 {
		return ""
	}
	return args[len(args)-1]
}

// dockerfile reads the stages of the Dockerfile, which has no instruction of several lines.
func dockerfile(t *testing.T) (stages []stage) {
	t.Helper()
	for line := range strings.Lines(readFile(t, "Dockerfile")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasSuffix(line, `\`) {
			t.Fatalf("this test cannot read a continued line: %s", line)
		}
		instruction, args, _ := strings.Cut(line, " ")
		if instruction == "FROM" {
			stages = append(stages, stage{})
		}
		s := stages[len(stages)-1]
		s[instruction] = append(s[instruction], strings.TrimSpace(args))
	}
	return stages
}

func TestDockerfileBuild(t *testing.T) {
	stages := dockerfile(t)
	if len(stages) != 2 {
		t.Fatalf("%d stages, want 2", len(stages))
	}
	build := stages[0]

	image := regexp.MustCompile(`^golang:([0-9.]+)`).FindStringSubmatch(build.last("FROM"))
	wanted := regexp.MustCompile(`(?m)^go ([0-9.]+)$`).FindStringSubmatch(readFile(t, "go.mod"))
	if image == nil || wanted == nil {
		t.Fatal("no version of Go in Dockerfile or go.mod")
	}
	// golang:1.26 is the newest 1.26.
	if version.Compare(version.Lang("go"+image[1]), version.Lang("go"+wanted[1])) < 0 {
		t.Errorf("the image has Go %s, go.mod wants %s", image[1], wanted[1])
	}

	compile := build.last("RUN")
	for _, want := range []string{"CGO_ENABLED=0 ", "-trimpath", "-o /out/roster", "./cmd/roster"} {
		if !strings.Contains(compile, want) {
			t.Errorf("%q is not in: %s", want, compile)
		}
	}
}

func TestDockerfileImage(t *testing.T) {
	image := dockerfile(t)[1]

	const user = "65532:65532"
	for instruction, want := range map[string]string{
		"FROM":       "scratch",
		"USER":       user,
		"WORKDIR":    "/data",
		"VOLUME":     "/data",
		"ENTRYPOINT": `["/roster"]`,
		"CMD":        `["serve"]`,
	} {
		if got := image.last(instruction); got != want {
			t.Errorf("%s %s, want %s", instruction, got, want)
		}
	}
	for _, want := range []string{
		"--from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/", // for mail over TLS and webhooks
		"--from=build /out/roster /roster",
		"--from=build --chown=" + user + " /out/data /data", // or SQLite cannot write there
	} {
		if !slices.Contains(image["COPY"], want) {
			t.Errorf("no COPY %s", want)
		}
	}
	if check := image.last("HEALTHCHECK"); !strings.HasSuffix(check, `CMD ["/roster", "healthcheck"]`) {
		t.Errorf("HEALTHCHECK %s: there is no shell or curl in the image, only /roster", check)
	}
	name, addr, _ := strings.Cut(image.last("ENV"), "=")
	if name != "ROSTER_ADDR" || port(t, addr) != image.last("EXPOSE") {
		t.Errorf("ENV %s but EXPOSE %s", image.last("ENV"), image.last("EXPOSE"))
	}
}

// What the build needs must reach it.
func TestDockerignore(t *testing.T) {
	for pattern := range strings.Lines(readFile(t, ".dockerignore")) {
		pattern = strings.TrimSpace(pattern)
		if pattern == "" || strings.HasPrefix(pattern, "#") {
			continue
		}
		for _, needed := range []string{"go.mod", "go.sum", "openapi.go", "openapi.yaml", "cmd", "db", "internal", "pkg"} {
			if ignored, err := path.Match(pattern, needed); ignored || err != nil {
				t.Errorf("%s: leaves out %s, %v", pattern, needed, err)
			}
		}
	}
}

type compose struct {
	Services map[string]struct {
		Image       string
		Build       string
		Environment map[string]string
		Ports       []string
		Volumes     []string
		DependsOn   map[string]struct{ Condition string } `json:"depends_on"`
		Healthcheck struct{ Test []string }
	}
	Volumes map[string]any
}

func TestCompose(t *testing.T) {
	var c compose
	if _, err := yaml.Unmarshal([]byte(readFile(t, "docker-compose.yml")), &c, yaml.DecodeOpts{}); err != nil {
		t.Fatal(err)
	}
	roster, postgres, mailpit := c.Services["roster"], c.Services["postgres"], c.Services["mailpit"]

	for name, service := range c.Services {
		if pinned := regexp.MustCompile(`:v?[0-9]`).MatchString(service.Image); !pinned && service.Build == "" {
			t.Errorf("%s: image %q has no version", name, service.Image)
		}
		for _, published := range service.Ports {
			if !strings.HasPrefix(published, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network, with the password that stands in the file", name, published)
			}
		}
	}
	for name := range roster.Environment {
		if !isSetting(name) {
			t.Errorf("Roster knows no %s", name)
		}
	}

	if roster.Build != "." || roster.DependsOn["postgres"].Condition != "service_healthy" {
		t.Errorf("roster: build %q, depends on %v", roster.Build, roster.DependsOn)
	}
	if test := postgres.Healthcheck.Test; len(test) < 2 || test[0] != "CMD" || test[1] != "pg_isready" {
		t.Errorf("postgres: healthcheck %q", test)
	}
	for _, volume := range postgres.Volumes {
		name, _, _ := strings.Cut(volume, ":")
		if _, ok := c.Volumes[name]; !ok {
			t.Errorf("volume %s is not declared", name)
		}
	}

	database := parse(t, roster.Environment["DATABASE_URL"])
	password, _ := database.User.Password()
	env := postgres.Environment
	if database.Hostname() != "postgres" || database.User.Username() != env["POSTGRES_USER"] ||
		password != env["POSTGRES_PASSWORD"] || database.Path != "/"+env["POSTGRES_DB"] {
		t.Errorf("DATABASE_URL %s does not fit the service postgres: %v", database, env)
	}
	if smtp := parse(t, roster.Environment["ROSTER_SMTP_URL"]); smtp.Host != "mailpit:1025" || mailpit.Image == "" {
		t.Errorf("ROSTER_SMTP_URL %s", smtp)
	}

	listen := port(t, roster.Environment["ROSTER_ADDR"])
	public := parse(t, roster.Environment["ROSTER_PUBLIC_URL"]).Port()
	if exposed := dockerfile(t)[1].last("EXPOSE"); listen != exposed {
		t.Errorf("roster listens on %s, the image exposes %s", listen, exposed)
	}
	if want := "127.0.0.1:" + public + ":" + listen; !slices.Equal(roster.Ports, []string{want}) {
		t.Errorf("roster: ports %v, want %s", roster.Ports, want)
	}
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Error(err)
	}
	return port
}

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		t.Fatalf("%q: %v", s, err)
	}
	return u
}
