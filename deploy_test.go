package roster

import (
	"go/version"
	"maps"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oasdiff/yaml"

	"github.com/rosterhq/roster/internal/config"
)

// isSetting reports whether Roster reads a variable: that of a setting or, for a secret, NAME_FILE.
func isSetting(name string) bool {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		setting := field.Tag.Get("env")
		_, isSecret := field.Tag.Lookup("secret")
		if name == setting || isSecret && name == setting+"_FILE" {
			return true
		}
	}
	return false
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// stage holds the arguments of each instruction after one FROM, in order.
type stage map[string][]string

func (s stage) last(instruction string) string {
	args := s[instruction]
	if len(args) == 0 {
		return ""
	}
	return args[len(args)-1]
}

// dockerfile returns the stages of the Dockerfile. It fails for an instruction of several lines.
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
	if !slices.Contains(build["ARG"], "VERSION") {
		t.Error("no build argument VERSION")
	}
	checkVersionFlag(t, compile)
	for _, want := range []string{"CGO_ENABLED=0 ", "-trimpath", "-o /out/roster", "./cmd/roster"} {
		if !strings.Contains(compile, want) {
			t.Errorf("%q is not in: %s", want, compile)
		}
	}
}

// checkVersionFlag checks that a build command sets a variable that exists, to $VERSION: the
// linker says nothing of one that does not.
func checkVersionFlag(t *testing.T, compile string) {
	t.Helper()
	flag := regexp.MustCompile(`-X github\.com/rosterhq/roster/(\S+)\.(\w+)=\$VERSION"`).FindStringSubmatch(compile)
	if flag == nil {
		t.Fatalf("no version in: %s", compile)
	}
	if source := readFile(t, flag[1]+"/version.go"); !strings.Contains(source, "\nvar "+flag[2]+" string\n") {
		t.Errorf("%s has no variable %s", flag[1], flag[2])
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

// TestDockerignore checks that the build gets all files that it needs.
func TestDockerignore(t *testing.T) {
	for pattern := range strings.Lines(readFile(t, ".dockerignore")) {
		pattern = strings.TrimSpace(pattern)
		if pattern == "" || strings.HasPrefix(pattern, "#") {
			continue
		}
		needed := []string{"go.mod", "go.sum", "openapi.go", "openapi.yaml", "cmd", "db", "internal", "pkg"}
		for _, needed := range needed {
			if ignored, err := path.Match(pattern, needed); ignored || err != nil {
				t.Errorf("%s: leaves out %s, %v", pattern, needed, err)
			}
		}
	}
}

type compose struct {
	Services map[string]struct {
		Image string
		Build struct {
			Context string
			Args    map[string]string
		}
		Restart     string
		Environment map[string]string
		Ports       []string
		Volumes     []string
		DependsOn   map[string]struct{ Condition string } `json:"depends_on"`
		Healthcheck struct{ Test []string }
	}
	Volumes map[string]any
}

func readCompose(t *testing.T) compose {
	t.Helper()
	var c compose
	if _, err := yaml.Unmarshal([]byte(readFile(t, "docker-compose.yml")), &c, yaml.DecodeOpts{}); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCompose(t *testing.T) {
	c := readCompose(t)
	for name, service := range c.Services {
		pinned := regexp.MustCompile(`:v?[0-9]+\.[0-9.]+$`).MatchString(service.Image)
		if !pinned && service.Build.Context == "" {
			t.Errorf("%s: image %q has no version", name, service.Image)
		}
		if service.Restart != "unless-stopped" {
			t.Errorf("%s: restart %q: it is away after a restart of the host", name, service.Restart)
		}
		for _, published := range service.Ports {
			if !strings.HasPrefix(published, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network, and the file shows the password", name, published)
			}
		}
	}
	names := slices.Collect(maps.Keys(c.Services["roster"].Environment))
	comments := regexp.MustCompile(`(?m)^ +# (ROSTER_\w+):`).FindAllStringSubmatch(readFile(t, "docker-compose.yml"), -1)
	for _, comment := range comments {
		names = append(names, comment[1])
	}
	for _, want := range []string{"ROSTER_SECRET_KEY", "ROSTER_TRUSTED_PROXIES"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not shown", want)
		}
	}
	for _, name := range names {
		if !isSetting(name) {
			t.Errorf("Roster knows no %s", name)
		}
	}
	for _, volume := range c.Services["postgres"].Volumes {
		name, _, _ := strings.Cut(volume, ":")
		if _, ok := c.Volumes[name]; !ok {
			t.Errorf("volume %s is not declared", name)
		}
	}
}

// TestComposeServices checks that the settings of the services fit each other and the image.
func TestComposeServices(t *testing.T) {
	c := readCompose(t)
	roster, postgres, mailpit := c.Services["roster"], c.Services["postgres"], c.Services["mailpit"]
	if _, versioned := roster.Build.Args["VERSION"]; !versioned {
		t.Error("the build gets no VERSION")
	}
	if roster.Build.Context != "." || roster.DependsOn["postgres"].Condition != "service_healthy" {
		t.Errorf("roster: build %v, depends on %v", roster.Build, roster.DependsOn)
	}
	if test := postgres.Healthcheck.Test; len(test) < 2 || test[0] != "CMD" || test[1] != "pg_isready" {
		t.Errorf("postgres: healthcheck %q", test)
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

// TestDeploy checks that the manifests in deploy/ are YAML, and set what Roster reads.
func TestDeploy(t *testing.T) {
	for _, name := range regexp.MustCompile(`- name: ([A-Z][A-Z_]+)`).FindAllStringSubmatch(readFile(t, "deploy/kubernetes.yaml"), -1) {
		if !isSetting(name[1]) {
			t.Errorf("Roster knows no %s", name[1])
		}
	}
	kinds := map[string]int{}
	for document := range strings.SplitSeq(readFile(t, "deploy/kubernetes.yaml"), "\n---\n") {
		var object struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     map[string]any
		}
		if _, err := yaml.Unmarshal([]byte(document), &object, yaml.DecodeOpts{}); err != nil || object.Metadata.Name != "roster" {
			t.Errorf("%v: %+v", err, object)
		}
		kinds[object.Kind]++
	}
	if len(kinds) != 3 || kinds["Deployment"] != 1 {
		t.Errorf("%v", kinds)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	if _, err := yaml.Unmarshal([]byte(readFile(t, "deploy/alerts.yaml")), &rules, yaml.DecodeOpts{}); err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules.Groups[0].Rules {
		if rule.Alert == "" || rule.Expr == "" || rule.Labels["severity"] == "" || rule.Annotations["action"] == "" {
			t.Errorf("%+v", rule)
		}
	}
	if unit := readFile(t, "deploy/roster.service"); !strings.Contains(unit, "\nExecStart=roster serve\n") {
		t.Error("the unit does not start the service")
	}
}

type release struct {
	Version int
	Builds  []struct {
		Main              string
		Env, Goos, Goarch []string
		Flags, Ldflags    []string
	}
	Archives []struct {
		Files []struct{ Src string }
	}
	NFPMs []struct {
		Formats  []string
		Bindir   string
		Contents []struct{ Src, Dst string }
		Scripts  map[string]string
	}
	Checksum map[string]string
	SBOMs    []struct{ Artifacts string }
}

// TestRelease checks what "goreleaser check" does not: that files and the variable of the
// version exist, and that the package has what its unit and scripts use.
func TestRelease(t *testing.T) {
	var r release
	if _, err := yaml.Unmarshal([]byte(readFile(t, ".goreleaser.yaml")), &r, yaml.DecodeOpts{}); err != nil {
		t.Fatal(err)
	}
	if r.Version != 2 || len(r.Builds) != 1 || len(r.Archives) != 1 || len(r.NFPMs) != 1 || len(r.SBOMs) != 1 ||
		r.Checksum["name_template"] == "" {
		t.Fatalf("%+v", r)
	}
	build, deb := r.Builds[0], r.NFPMs[0]
	checkVersionFlag(t, strings.ReplaceAll(strings.Join(build.Ldflags, " "), "v{{ .Version }}", "$VERSION")+`"`)
	if !slices.Contains(build.Env, "CGO_ENABLED=0") || !slices.Contains(build.Flags, "-trimpath") {
		t.Errorf("%+v", build)
	}
	systems := len(build.Goos) * len(build.Goarch)
	if systems != 6 || !slices.Contains(build.Goos, "windows") || !slices.Contains(build.Goarch, "arm64") {
		t.Errorf("%v on %v", build.Goos, build.Goarch)
	}

	files := []string{build.Main}
	for _, file := range r.Archives[0].Files {
		files = append(files, file.Src)
	}
	installed := map[string]string{}
	for _, file := range deb.Contents {
		if installed[file.Dst] = file.Src; file.Src != "" {
			files = append(files, file.Src)
		}
	}
	for _, script := range deb.Scripts {
		files = append(files, script)
	}
	for _, file := range files {
		if found, err := filepath.Glob(file); len(found) == 0 {
			t.Errorf("%s does not exist, %v", file, err)
		}
	}
	for _, want := range []string{"LICENSE", "README.md", "CHANGELOG.md", "deploy/*.*"} {
		if !slices.Contains(files, want) {
			t.Errorf("no archive has %s", want)
		}
	}
	checkPackage(t, deb.Bindir, installed, deb.Scripts)
}

// checkPackage checks that systemd finds the program of the package, and that the scripts
// fit the unit. The keys of installed are the paths in the package.
func checkPackage(t *testing.T, bindir string, installed, scripts map[string]string) {
	t.Helper()
	const unit = "/lib/systemd/system/roster.service"
	// systemd looks for a program without a path in this directory, and in three more.
	if bindir != "/usr/bin" || installed[unit] != "deploy/roster.service" {
		t.Errorf("the program is in %s, the unit is %q", bindir, installed[unit])
	}
	if _, made := installed["/etc/roster"]; !made {
		t.Error("there is no directory for the settings")
	}
	// Nothing creates a user, so systemd has to.
	if !strings.Contains(readFile(t, "deploy/roster.service"), "\nDynamicUser=yes\n") {
		t.Error("the unit needs a user")
	}
	for _, name := range []string{"postinstall", "preremove"} {
		script := readFile(t, scripts[name])
		if !strings.HasPrefix(script, "#!/bin/sh\n") || !strings.Contains(script, " "+path.Base(unit)+"\n") {
			t.Errorf("%s: %s", name, script)
		}
	}
}
