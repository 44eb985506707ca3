package userfile_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rosterhq/roster/internal/identity"
	"github.com/rosterhq/roster/internal/secret"
	"github.com/rosterhq/roster/internal/userfile"
)

// read returns all rows of a file.
func read(format userfile.Format, file io.Reader, names map[string]string) (rows []userfile.Row, err error) {
	r, err := userfile.Open(format, file, names)
	if err != nil {
		return nil, err
	}
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			rows = append(rows, row)
			continue
		}
		if _, again := r.Next(); err != nil && again != err || err == nil && again != io.EOF { //nolint:errorlint // the same one
			return rows, fmt.Errorf("after the end: %w", again)
		}
		return rows, err
	}
}

// lines returns rows as JSON and notes, one per line.
func lines(t *testing.T, rows []userfile.Row) []string {
	t.Helper()
	var lines []string
	for i, row := range rows {
		if row.Number != int64(i+1) {
			t.Errorf("row %d has the number %d", i+1, row.Number)
		}
		text, err := json.Marshal(row.Fields)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(text))
		for _, note := range row.Notes {
			lines = append(lines, note.Field+" "+note.Reason)
		}
	}
	return lines
}

// hashes takes the hashes out of rows, after it has compared them with the password.
func hashes(t *testing.T, rows []userfile.Row, passwords ...identity.Password) int {
	t.Helper()
	found := 0
	for _, row := range rows {
		hash, isThere := row.Fields["passwordHash"].(string)
		if !isThere {
			continue
		}
		matches := slices.ContainsFunc(passwords, func(password identity.Password) bool {
			matches, err := secret.NewPasswords(secret.MinCost, 1).Matches(t.Context(), "test", hash, password, nil)
			return matches && err == nil
		})
		if !matches {
			t.Errorf("row %d: %s does not match", row.Number, hash)
		}
		delete(row.Fields, "passwordHash")
		found++
	}
	return found
}

func readTestdata(t *testing.T, format userfile.Format, name string) []userfile.Row {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := read(format, file, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

const chooses = "is left out, so the user has to choose a new password: "

func TestKeycloak(t *testing.T) {
	t.Parallel()
	rows := readTestdata(t, userfile.Keycloak, "keycloak.json")
	if n := hashes(t, rows, "MySecret123"); n != 4 {
		t.Errorf("%d hashes", n)
	}
	want := []string{
		`{"active":true,"email":"mary@website.com","groups":["Europe","Europe/Sales","support"],"name":"Mary Poppins","phone":"+18043257762"}`,
		`{"active":false,"email":"bert@website.com","name":"Bert","tfa":true}`,
		"phone is left out: it must be a phone number such as +18043257762",
		"tfa is on, but the authenticator is not taken over: codes come by mail until the user enrols one",
		"email has not been verified by its owner",
		"groups are without the roles of clients, which are not taken over",
		`{"active":true,"email":"jane@website.com","name":"jane@website.com"}`,
		"email is the user name",
		"passwordHash is not all: the sign-in by google is not taken over",
		`{"active":true,"email":"old@website.com","name":"Old Release"}`,
		`{"email":"dear@website.com","name":"Dear"}`,
		"passwordHash " + chooses + "it takes too much time or memory to compare",
		`{"active":true,"name":"service-account-billing"}`,
		"email belongs to no person: this is the service account of a client",
		`{"active":true,"email":"clear@website.com","name":"Clear"}`,
		"passwordHash " + chooses + "there is a password in clear, and no hash",
	}
	if diff := cmp.Diff(want, lines(t, rows)); diff != "" {
		t.Error(diff)
	}
}

func TestKratos(t *testing.T) {
	t.Parallel()
	rows := readTestdata(t, userfile.Kratos, "kratos.json")
	if n := hashes(t, rows, "MySecret123"); n != 4 {
		t.Errorf("%d hashes", n)
	}
	want := []string{
		`{"active":true,"email":"mary@website.com","name":"Mary Poppins","phone":"+18043257762"}`,
		`{"active":false,"email":"bert@website.com","name":"Bert","tfa":true}`,
		"tfa is on, but the authenticator is not taken over: codes come by mail until the user enrols one",
		"passwordHash is not all: the sign-in by oidc is not taken over",
		"email has not been verified by its owner",
		`{"email":"pbkdf2@website.com","name":"Peter Banks"}`,
		`{"email":"crypt@website.com","name":"Crypt"}`,
		`{"email":"md5@website.com","name":"Michael"}`,
		"passwordHash " + chooses + "it is no hash of bcrypt, argon2id, argon2i, scrypt, PBKDF2 or SHA-crypt",
		`{"email":"nameless@website.com","name":"nameless"}`,
		"name is what stands before the @, because there is none",
		"passwordHash " + chooses + "there is a password in clear, and no hash",
	}
	if diff := cmp.Diff(want, lines(t, rows)); diff != "" {
		t.Error(diff)
	}
	// One object per line, and the answer of the command line.
	rows = readTestdata(t, userfile.Kratos, "kratos.ndjson")
	if n := hashes(t, rows, "MySecret123", "user1password"); n != 2 || len(rows) != 2 {
		t.Errorf("%d hashes in %d rows", n, len(rows))
	}
	wrapped := `{"next_page_token":"x","identities":[{"traits":{"email":"a@x.io","name":"A"}},{"traits":{"email":"b@x.io","name":"B"}}]}`
	rows, err := read(userfile.Kratos, strings.NewReader(wrapped), nil)
	if got := strings.Join(lines(t, rows), " "); err != nil || got != `{"email":"a@x.io","name":"A"} {"email":"b@x.io","name":"B"}` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestPocketBase(t *testing.T) {
	t.Parallel()
	rows := readTestdata(t, userfile.PocketBase, "pocketbase.json")
	if n := hashes(t, rows, "MySecret123"); n != 2 {
		t.Errorf("%d hashes", n)
	}
	want := []string{
		`{"email":"mary@website.com","name":"Mary Poppins"}`,
		`{"email":"bert@website.com","name":"users1234"}`,
		"email has not been verified by its owner",
		`{"email":"jane@website.com","name":"jane"}`,
		"name is what stands before the @, because there is none",
		"passwordHash " + chooses + "the export has no hashes",
	}
	if diff := cmp.Diff(want, lines(t, rows)); diff != "" {
		t.Error(diff)
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text  string
		names map[string]string
		want  []string
	}{
		"the least": {"email\na@x.io", nil, []string{`{"email":"a@x.io"}`}},
		"a BOM and CRLF": {
			"\ufeffname,email,active,tfa\r\nMary,a@x.io,true,no\r\n\r\n\"B, \"\"b\"\"\r\nc\",b@x.io,0,YES\r\n", nil,
			[]string{
				`{"active":true,"email":"a@x.io","name":"Mary","tfa":false}`,
				`{"active":false,"email":"b@x.io","name":"B, \"b\"\nc","tfa":true}`,
			},
		},
		"an export of the API": {
			"id,name,email,active,tfa,groups,phone,ipWhitelist,clientTags,canViewMaskedData\r\n" +
				`7,'=Mary,a@x.io,true,false,"[""Support"",2]",'+18043257762,"[""10.0.0.0/8""]","[""vip"",{""id"":7}]",false` + "\r\n" +
				`8,'plain,b@x.io,true,false,[],,[],[],true` + "\r\n",
			nil,
			[]string{
				`{"active":true,"canViewMaskedData":false,"clientTags":["vip",{"id":7}],"email":"a@x.io","groups":["Support",2],` +
					`"id":7,"ipWhitelist":["10.0.0.0/8"],"name":"=Mary","phone":"+18043257762","tfa":false}`,
				`{"active":true,"canViewMaskedData":true,"clientTags":[],"email":"b@x.io","groups":[],` +
					`"id":8,"ipWhitelist":[],"name":"'plain","tfa":false}`,
			},
		},
		"an export of the console": {
			"id,name,email,phone,active,groups,tfa,lastSigninTime,createTime\r\n" +
				"7,Mary,a@x.io,'+18043257762,true,Support; Sales;2024,false,2026-11-22T12:00:00Z,2026-11-22T12:00:00Z\r\n",
			nil,
			[]string{`{"active":true,"email":"a@x.io","groups":["Support","Sales","2024"],"id":7,"name":"Mary","phone":"+18043257762","tfa":false}`},
		},
		"semicolons": {"name;email\nA, B;a@x.io\n", nil, []string{`{"email":"a@x.io","name":"A, B"}`}},
		"tabs":       {"name\temail\nA\ta@x.io\n", nil, []string{`{"email":"a@x.io","name":"A"}`}},
		"other names of columns": {
			"Vorname,E-Mail,Kommentar\nMary,a@x.io,text\n",
			map[string]string{"Vorname": "name", "E-Mail": "email", "Kommentar": ""},
			[]string{`{"email":"a@x.io","name":"Mary"}`},
		},
		"values that the server refuses": {
			"id,email,active,groups\nseven,a@x.io,maybe,\"[1,\"\n", nil,
			[]string{`{"active":"maybe","email":"a@x.io","groups":"[1,","id":"seven"}`},
		},
		"a hash": {
			"email,passwordHash\na@x.io,\"$argon2id$v=19$m=1024,t=2,p=4$a$b\"\n", nil,
			[]string{`{"email":"a@x.io","passwordHash":"$argon2id$v=19$m=1024,t=2,p=4$a$b"}`},
		},
	} {
		rows, err := read(userfile.CSV, strings.NewReader(test.text), test.names)
		if diff := cmp.Diff(test.want, lines(t, rows)); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestNDJSON(t *testing.T) {
	t.Parallel()
	text := "\ufeff" + `{"email":"a@x.io","name":"A","phone":null,"groups":[1,"B"],"id":9007199254740993}` + "\r\n\n" +
		`{"Mail":"b@x.io","createTime":"2026","colour":"red"}`
	rows, err := read(userfile.NDJSON, strings.NewReader(text), map[string]string{"Mail": "email"})
	want := []string{
		`{"email":"a@x.io","groups":[1,"B"],"id":9007199254740993,"name":"A","phone":null}`,
		`{"colour":"red","email":"b@x.io"}`, // the server knows no colour
	}
	if diff := cmp.Diff(want, lines(t, rows)); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// TestLeftOut checks that the fields of other systems can be left out or renamed as columns can.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	text := `{"users":[{"email":"a@x.io","firstName":"A","groups":["/Europe"],"enabled":true}]}`
	rows, err := read(userfile.Keycloak, strings.NewReader(text), map[string]string{"groups": "", "active": "tfa"})
	if got := strings.Join(lines(t, rows), " "); err != nil || got != `{"email":"a@x.io","name":"A","tfa":true}` {
		t.Errorf("%s, %v", got, err)
	}
}

// TestBadFiles checks that a file that cannot be read is refused with a sentence that says where.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	header := "name,email\n"
	for _, test := range []struct {
		format userfile.Format
		text   string
		names  map[string]string
		want   string
	}{
		{userfile.CSV, "", nil, "the file is empty"},
		{userfile.CSV, "\ufeff\r\n\n" + strings.Repeat("\r\n", 100), nil, "the file is empty"},
		{userfile.CSV, "\xff\xfen\x00a\x00m\x00e\x00", nil, "the file is UTF-16 or no text; save it as UTF-8"},
		{userfile.CSV, "n\x00a\x00m\x00e\x00", nil, "the file is UTF-16 or no text; save it as UTF-8"},
		{userfile.CSV, "PK\x03\x04\x00\x00", nil, "the file is UTF-16 or no text; save it as UTF-8"},
		{userfile.CSV, header + "A,a@x.io\nRen\xe9,b@x.io\n", nil, "user 2: line 3, column 1: is not UTF-8; save the file in that encoding"},
		{userfile.CSV, "Pr\xe9nom,email\n", nil, "line 1, column 1: is not UTF-8; save the file in that encoding"},
		{userfile.CSV, "name,phone\nA,1\n", nil, `there is no column "email", nor "id": the first line must have the names of the columns`},
		{userfile.CSV, "A,a@x.io\n", nil, `column 1, "A", is no field: map it to one, or to nothing to leave it out`},
		{userfile.CSV, "email,email\n", nil, `columns 1 and 2 are both "email"`},
		{userfile.CSV, "email,Mail\n", map[string]string{"Mail": "email"}, `columns 1 and 2 are both "email"`},
		{userfile.CSV, header, map[string]string{"Mail": "email"}, `there is no column "Mail"`},
		{userfile.CSV, header, map[string]string{"name": "colour"}, `"name" cannot be "colour": the fields are ` + strings.Join(userfile.Fields, ", ")},
		{userfile.CSV, strings.Repeat("a,", 1000) + "email\n", nil, "the header has 1001 columns, more than 200"},
		{userfile.CSV, header + "A,a@x.io\nB", nil, "user 2: line 3: must have 2 columns as the header has; is the file complete?"},
		{userfile.CSV, header + "A,a@x.io,,\n", nil, "user 1: line 2: must have 2 columns as the header has; is the file complete?"},
		{userfile.CSV, header + "\"A,a@x.io\n", nil, "user 1: line 2: a quoted cell does not end as it should; is the file complete?"},
		{userfile.CSV, header + "A\"b,a@x.io\n", nil, "user 1: line 2, column 2: a quote stands in a cell that does not begin with one"},
		{userfile.CSV, header + strings.Repeat("x", 200<<10) + ",a@x.io\n", nil, "user 1: line 2, column 1: has a cell of more than 128 KiB"},
		{userfile.CSV, header + "\"" + strings.Repeat("x\n", 2<<20), nil, "user 1: is longer than 256 KiB; does a quote or a bracket not end?"},
		{userfile.CSV, header + strings.Repeat("\"\"", 2<<20), nil, "user 1: is longer than 256 KiB; does a quote or a bracket not end?"},
		{userfile.CSV, header + strings.Repeat(",", 4<<20), nil, "user 1: is longer than 256 KiB; does a quote or a bracket not end?"},
		{userfile.CSV, strings.Repeat("a", 4<<20), nil, "the header is longer than 256 KiB; does a quote or a bracket not end?"},
		{userfile.NDJSON, "{\"email\":\"a@x.io\"}\n[1]\n", nil, "user 2: line 2: is no JSON object"},
		{userfile.NDJSON, "{\"email\":\"a@x.io\"}\n\n{\"email\":\"b", nil, "user 2: line 3: the JSON ends too early; is the file complete?"},
		{userfile.NDJSON, `{"email":"a"} {"email":"b"}`, nil, "user 1: line 1: has more than one JSON object"},
		{userfile.NDJSON, `{"email":"a","email":"b"}`, nil, `user 1: line 1: has "email" twice`},
		{userfile.NDJSON, `{"email":"a","Mail":"b"}`, map[string]string{"Mail": "email"}, `user 1: line 1: has "email" twice`},
		{userfile.NDJSON, "{\"name\":\"Ren\xe9\"}", nil, "user 1: line 1: is not UTF-8; save the file in that encoding"},
		{userfile.NDJSON, `{"name":"` + strings.Repeat("x", 2<<20), nil, "user 1: line 1: is longer than 1024 KiB; does a quote or a bracket not end?"},
		{userfile.NDJSON, "email,name\n", nil, "user 1: line 1: is no JSON object"},
		{userfile.Keycloak, `{"realm":"acme"}`, nil, `user 1: there is no list "users" in this file`},
		{userfile.Keycloak, `[{"realm":"acme"}]`, nil, `user 1: this file is a list; it must be one object that has "users"`},
		{userfile.Keycloak, `{"users":{}}`, nil, `user 1: "users" must be a list`},
		{userfile.Keycloak, `{"users":[{"email":"a@x.io"}],"users":[]}`, nil, `user 2: "users" is there twice`},
		{userfile.Keycloak, `{"users":[{"email":"a@x.io"}`, nil, "user 2: the JSON ends too early; is the file complete?"},
		{userfile.Keycloak, `{"users":[{"email":"a@x.io"}],"x":`, nil, "user 2: the JSON ends too early; is the file complete?"},
		{userfile.Keycloak, `{"users":[{"email":7}]}`, nil, "user 1: email must not be a JSON number"},
		{userfile.Keycloak, `{"users":["a@x.io"]}`, nil, "user 1: must be a JSON object, not string"},
		{userfile.Keycloak, `{"x":` + strings.Repeat("[", 1<<20), nil, "user 1: values are nested more than 100 deep"},
		{userfile.Keycloak, `{"x":"` + strings.Repeat("x", 3<<20), nil, "user 1: is longer than 1024 KiB; does a quote or a bracket not end?"},
		{userfile.Keycloak, `{"users":[{"email":"` + strings.Repeat("x", 3<<20), nil, "user 1: is longer than 1024 KiB; does a quote or a bracket not end?"},
		{userfile.Keycloak, `{"users":[` + strings.Repeat("[", 1<<19), nil, "user 1: is no JSON: invalid character '[' exceeded max depth"},
		{userfile.Kratos, `{"a":"` + strings.Repeat("x", 600<<10) + `","b":"` + strings.Repeat("x", 600<<10) + `"}`, nil, "user 1: is longer than 1024 KiB; does a quote or a bracket not end?"},
		{userfile.Kratos, `[{"traits":{"email":"Ren` + "\xe9" + `"}}]`, nil, "user 1: is not UTF-8; save the file in that encoding"},
		{userfile.Kratos, `[{"traits":{}}] garbage`, nil, "user 2: is no JSON: invalid character 'g' looking for beginning of value"},
		{userfile.PocketBase, `"text"`, nil, "user 1: this file is no JSON object and no list"},
		{userfile.PocketBase, "id,email\n", nil, "user 1: is no JSON: invalid character 'i' looking for beginning of value"},
		{"xml", "<users/>", nil, `the format "xml" is unknown`},
	} {
		_, err := read(test.format, strings.NewReader(test.text), test.names)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s %.40q: %v\nwant %s", test.format, test.text, err, test.want)
		}
	}
}

// endless is a file that repeats a text after its beginning.
type endless struct {
	start, again string
	n            int64 // bytes
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	if e.start == "" {
		e.start = e.again
	}
	n := copy(p, e.start)
	e.start = e.start[n:]
	e.n -= int64(n)
	return n, nil
}

// TestMemoryIsFlat reads large files of each format, also some without an end, and checks that the
// memory in use does not follow.
func TestMemoryIsFlat(t *testing.T) {
	const size, most = 16 << 20, 12 << 20 // bytes
	for name, test := range map[string]struct {
		format       userfile.Format
		start, again string
	}{
		"csv":               {userfile.CSV, "name,email\n", "Mary,mary@website.com\n"},
		"csv, quotes":       {userfile.CSV, "name,email\n\"", "\"\""},
		"csv, columns":      {userfile.CSV, "name,email\n", ","},
		"csv, a cell":       {userfile.CSV, "name,email\n\"", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"},
		"ndjson":            {userfile.NDJSON, "", "{\"email\":\"mary@website.com\"}\n"},
		"ndjson, a line":    {userfile.NDJSON, "{\"email\":\"", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
		"keycloak":          {userfile.Keycloak, `{"users":[{"email":"a"}`, `,{"email":"mary@website.com"}`},
		"keycloak, clients": {userfile.Keycloak, `{"clients":[{}`, `,{"id":"some client"}`},
		"keycloak, nested":  {userfile.Keycloak, `{"clients":`, `[[[[[[[[[[[[[[[[[[[[[[[[[`},
		"kratos":            {userfile.Kratos, `[{"traits":{}}`, `,{"traits":{"email":"mary@website.com"}}`},
		"kratos, members":   {userfile.Kratos, `{"x":1`, `,"y":2`},
		"pocketbase":        {userfile.PocketBase, "", `{"email":"mary@website.com"}`},
	} {
		r, err := userfile.Open(test.format, &endless{test.start, test.again, size}, nil)
		rows := 0
		var memory runtime.MemStats
		for ; err == nil; rows++ {
			_, err = r.Next()
			if rows%100_000 == 0 || err != nil {
				runtime.GC()
				runtime.ReadMemStats(&memory)
				if memory.HeapAlloc > most {
					t.Fatalf("%s: %d MiB are in use after %d rows", name, memory.HeapAlloc>>20, rows)
				}
			}
		}
		t.Logf("%s: %d rows, %v", name, rows, err)
	}
}

// fuzz adds the examples and checks what holds for each file: it ends, and its rows can be sent.
func fuzz(f *testing.F, format userfile.Format, examples ...string) {
	f.Helper()
	for _, example := range examples {
		f.Add([]byte(example))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, err := read(format, strings.NewReader(string(text)), nil)
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		for _, row := range rows {
			encoded, err := json.Marshal(row.Fields)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(encoded), "\uFFFD") && !strings.Contains(string(text), "\uFFFD") && !strings.Contains(string(text), `\u`) {
				t.Errorf("%s has lost characters", encoded)
			}
			for _, note := range row.Notes {
				if !slices.Contains(userfile.Fields, note.Field) || note.Reason == "" || len(note.Reason) > 1000 {
					t.Errorf("%+v", note)
				}
			}
		}
	})
}

func FuzzCSV(f *testing.F) {
	fuzz(f, userfile.CSV, "name,email\nA,a@x.io\n", "\ufeffemail;groups\r\n\"a\"\"b\";[1]\r\n", "id\n'=1\n", "email\n\"", "email\n'＝1")
}

func FuzzNDJSON(f *testing.F) {
	fuzz(f, userfile.NDJSON, `{"email":"a@x.io"}`, "{}\n{}", `{"a":{"b":[1]}}`)
}

func FuzzKeycloak(f *testing.F) {
	fuzz(f, userfile.Keycloak, example(f, "keycloak.json"), `{"users":[{}]}`)
}

func FuzzKratos(f *testing.F) {
	fuzz(f, userfile.Kratos, example(f, "kratos.json"), example(f, "kratos.ndjson"), `{"identities":[]}`)
}

func FuzzPocketBase(f *testing.F) {
	fuzz(f, userfile.PocketBase, example(f, "pocketbase.json"), `[{}]`)
}

func example(f *testing.F, name string) string {
	f.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}
