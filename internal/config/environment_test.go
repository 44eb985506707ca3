package config

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"ROSTER_ADDR=:8080": "", "PATH=/bin": "", "PORT=80": "", "ROSTER_SECRET_KEY_FILE=/x": "", "MY_FILE=/x": "",
		"DATABASE_URL_FILE=/x": "", "ROSTERS=1": "", "ROSTER_URL=x": "", "ROSTER_TOKEN=x": "", "ROSTER_TOKEN_FILE=x": "",
		"ROSTER_TOKN=x": "did you mean ROSTER_TOKEN", "ROSTER_URL_FILE=x": "cannot be read from a file",
		"ROSTER_ADR=:80": "ROSTER_ADDR", "ROSTER_PUBLIC_URI=x": "ROSTER_PUBLIC_URL", "ROSTER_=": "ROSTER_URL",
		"ROSTER_SECRET_KEY_FIEL=/x": "ROSTER_SECRET_KEY_FILE",
		"ROSTER_ADMIN_EMAIL_FILE=x": "ROSTER_ADMIN_EMAIL cannot be read from a file",
		"PORT_FILE=x":               "PORT cannot be read from a file",
		"ROSTER_ADR_FILE=x":         "ROSTER_ADR_FILE is not a setting",

		// Of Kubernetes, for services named roster, roster-metrics and roster-db.
		"ROSTER_SERVICE_HOST=10.0.0.1": "", "ROSTER_SERVICE_PORT=8080": "", "ROSTER_SERVICE_PORT_HTTP=8080": "",
		"ROSTER_PORT=tcp://10.0.0.1:8080": "", "ROSTER_PORT_8080_TCP=tcp://10.0.0.1:8080": "",
		"ROSTER_PORT_8080_TCP_PROTO=tcp": "", "ROSTER_PORT_8080_TCP_PORT=8080": "",
		"ROSTER_PORT_8080_TCP_ADDR=10.0.0.1": "", "ROSTER_METRICS_PORT=tcp://10.0.0.1:9090": "",
		"ROSTER_DB_SERVICE_HOST=10.0.0.1": "", "ROSTER_DB_PORT_53_UDP=udp://10.0.0.1:53": "",
		"ROSTER_PORT=8080": "ROSTER_PORT is not a setting", "ROSTER_METRICS_PORT=9090": "did you mean ROSTER_METRICS_ADDR",
		"ROSTER_SERVICE_PORT=http": "not a setting", "ROSTER_PORT_TCP=1": "not a setting",
	} {
		name, value, _ := strings.Cut(variable, "=")
		err := checkName(variables(), name, value)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", variable, err, want)
		}
	}
}

// FuzzCheckName checks that only variables that look like settings stop a start.
func FuzzCheckName(f *testing.F) {
	f.Add("ROSTER_ADR", "x")
	f.Add("PORT_FILE", "")
	settings := variables()
	f.Fuzz(func(t *testing.T, name, value string) {
		err := checkName(settings, name, value)
		_, known := settings[name]
		if err != nil && (known || !strings.HasPrefix(name, "ROSTER_") && !strings.HasSuffix(name, "_FILE")) {
			t.Errorf("%q=%q: %v", name, value, err)
		}
	})
}
