package config

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/agnivade/levenshtein"
)

// ReadEnvironment checks the names of the variables of the process and sets each variable
// of a secret from the file that NAME_FILE names. This keeps secrets out of the
// environment of containers. A trailing line break is not part of the secret.
//
// It fails for a ROSTER_ variable that is no setting, for NAME_FILE of a setting that
// cannot come from a file, for a file that cannot be read or is empty, and where both NAME
// and NAME_FILE are set.
func ReadEnvironment() error {
	settings := variables()
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if err := checkName(settings, name, value); err != nil {
			return err
		}
	}
	for name, secret := range settings {
		path := os.Getenv(name + "_FILE")
		if !secret || path == "" {
			continue
		}
		if os.Getenv(name) != "" {
			return fmt.Errorf("%s and %s_FILE must not both be set", name, name)
		}
		content, err := os.ReadFile(path) //nolint:gosec // the operator chooses the file
		if err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
		text := strings.TrimRight(string(content), "\r\n")
		if text == "" {
			return fmt.Errorf("%s_FILE: %s is empty", name, path)
		}
		if err := os.Setenv(name, text); err != nil {
			return fmt.Errorf("%s_FILE: %w", name, err)
		}
	}
	return nil
}

// kubernetes matches the variables that Kubernetes gives all containers for a service
// named roster or roster-NAME. Only the value tells ROSTER_PORT=tcp://10.0.0.1:8080 from
// a mistyped setting.
var kubernetes = regexp.MustCompile(`^ROSTER(_[A-Z0-9_]+)?_(` +
	`SERVICE_HOST=.*|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+|PORT=(tcp|udp|sctp)://.*|` +
	`PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=.*)$`)

// checkName returns an error for a variable that looks like a setting and is none.
// settings has the names of all settings, with true for those that can come from a file.
func checkName(settings map[string]bool, name, value string) error {
	if of, isFile := strings.CutSuffix(name, "_FILE"); isFile {
		if secret, known := settings[of]; known {
			if !secret && value != "" {
				return fmt.Errorf("%s is unknown: %s cannot be read from a file", name, of)
			}
			return nil
		}
	}
	_, known := settings[name]
	if known || !strings.HasPrefix(name, "ROSTER_") || kubernetes.MatchString(name+"="+value) {
		return nil
	}
	return fmt.Errorf("%s is not a setting; did you mean %s? roster --help lists all", name, nearest(settings, name))
}

// nearest returns the variable that takes the fewest changes of letters to become name.
func nearest(settings map[string]bool, name string) string {
	best, fewest := "", 0
	for candidate, secret := range settings {
		candidates := []string{candidate}
		if secret {
			candidates = append(candidates, candidate+"_FILE")
		}
		for _, c := range candidates {
			changes := levenshtein.ComputeDistance(name, c)
			if best == "" || changes < fewest || changes == fewest && c < best {
				best, fewest = c, changes
			}
		}
	}
	return best
}

// Variables that name the server which commands such as roster users speak to. They are no flags: a token in arguments
// is in the list of processes and in the history of the shell.
const (
	ServerURL   = "ROSTER_URL"
	ServerToken = "ROSTER_TOKEN"
)

// variables returns the environment variables of all settings, with true for the secrets.
func variables() map[string]bool {
	names := map[string]bool{ServerURL: false, ServerToken: true}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		_, secret := field.Tag.Lookup("secret")
		names[field.Tag.Get("env")] = secret
	}
	return names
}
