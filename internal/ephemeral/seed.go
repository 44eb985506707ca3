package ephemeral

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/rosterhq/roster/internal/identity"
)

// A seed is YAML with the lists groups, users, tokens and webhooks. The keys of an entry are
// the fields of the body that creates one by the API, and it is created by that call, so that
// all rules of the service hold. These keys are of the seed alone: a user's groups may be
// names, a user's factor is the secret of an authenticator, and a token's user is the address
// of the user that it acts for. A user is active without being said to be.

// maxSeed bounds a seed, in bytes.
const maxSeed = 4 << 20

// sections are the lists of a seed, in the order of creation.
var sections = []string{"groups", "users", "tokens", "webhooks"}

// seeder creates what a seed has.
type seeder struct {
	double *Double
	world  *world
	actor  identity.Actor
	groups map[string]int64 // ids by name
	users  map[string]int64 // ids by the key of the address
}

// entry is an entry of a seed.
type entry struct {
	path string // such as users[0]
	line int
	keys map[string]int // the line of each key
	body map[string]any
}

// wrong is a mistake in a seed.
type wrong struct {
	line int
	text string
}

// Error returns the mistake with its line.
func (w wrong) Error() string { return fmt.Sprintf("%d: %s", w.line, w.text) }

// at returns a mistake in a key of the entry, or in the entry itself.
func (e entry) at(key, text string) error {
	line, ok := e.keys[key]
	if !ok {
		line = e.line
	}
	if key != "" {
		key = "." + key
	}
	return wrong{line, e.path + key + ": " + text}
}

// seed creates what the seed of the options has. The error names file and line.
func (d *Double) seed(ctx context.Context, w *world) error {
	d.Tokens, d.Secrets = map[string]string{}, map[string]string{}
	lists, err := readSeed(d.options.Seed)
	if err == nil && len(lists) > 0 {
		s := &seeder{double: d, world: w, groups: map[string]int64{}, users: map[string]int64{}}
		origin := identity.Origin{Source: netip.AddrFrom4([4]byte{127, 0, 0, 1})}
		s.actor, err = w.app.Service.Authenticate(ctx, d.Token, origin)
		for _, section := range sections {
			for _, e := range lists[section] {
				if err == nil {
					err = s.create(ctx, section, e)
				}
			}
		}
	}
	var mistake wrong
	if errors.As(err, &mistake) {
		return fmt.Errorf("%s:%w", d.options.SeedName, mistake)
	}
	return err
}

// create creates one entry.
func (s *seeder) create(ctx context.Context, section string, e entry) error {
	factor, hasFactor := e.body["factor"]
	var err error
	switch section {
	case "users":
		delete(e.body, "factor")
		err = s.completeUser(e)
	case "tokens":
		err = s.completeToken(e)
	}
	if err != nil {
		return err
	}
	created, err := s.post(ctx, section, e)
	if err != nil {
		return err
	}
	switch section {
	case "groups":
		s.groups[created.Name] = created.ID
	case "users":
		s.users[identity.EmailKey(created.Email)] = created.ID
		if hasFactor {
			return s.adopt(ctx, e, created.ID, factor)
		}
	case "tokens":
		s.double.Tokens[created.Name] = created.Token
	case "webhooks":
		s.double.Secrets[created.URL] = created.Secret
	}
	return nil
}

// completeUser puts in what a seed need not say, and the ids of groups for their names.
func (s *seeder) completeUser(e entry) error {
	for key, value := range map[string]any{"active": true, "tfa": false, "groups": []any{}} {
		if _, given := e.body[key]; !given {
			e.body[key] = value
		}
	}
	groups, _ := e.body["groups"].([]any) // anything else is for the API to refuse
	for i, group := range groups {
		name, isName := group.(string)
		if !isName {
			continue
		}
		id, known := s.groups[name]
		if identity.FoldASCII(name) == "administrators" {
			id, known = identity.AdministratorsID, true
		}
		if !known {
			return e.at("groups", fmt.Sprintf("there is no group %q in the seed", name))
		}
		groups[i] = id
	}
	return nil
}

// completeToken puts in the id of the user for the address.
func (s *seeder) completeToken(e entry) error {
	given, acts := e.body["user"]
	if !acts {
		return nil
	}
	email, _ := given.(string)
	id, known := s.users[identity.EmailKey(email)]
	if !known {
		return e.at("user", fmt.Sprintf("there is no user %q in the seed", fmt.Sprint(given)))
	}
	delete(e.body, "user")
	e.body["userId"] = id
	return nil
}

// adopt gives a user an authenticator.
func (s *seeder) adopt(ctx context.Context, e entry, userID int64, factor any) error {
	key, _ := factor.(string)
	err := s.world.app.Service.AdoptTOTP(ctx, s.actor, userID, strings.ToUpper(strings.ReplaceAll(key, " ", "")))
	var refused *identity.Error
	if errors.As(err, &refused) && len(refused.Fields) > 0 {
		return e.at("factor", refused.Fields[0].Message)
	}
	return err
}

// created has what an answer to a creation tells.
type created struct {
	ID                              int64
	Name, Email, Token, URL, Secret string
	// Of a refusal.
	Detail string
	Errors []struct{ Field, Message string }
}

// post creates an entry by the API.
func (s *seeder) post(ctx context.Context, section string, e entry) (c created, err error) {
	body, err := json.Marshal(e.body)
	if err != nil {
		return c, e.at("", "it has a value that JSON has not")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "/api/v2/"+section, bytes.NewReader(body))
	if err != nil {
		return c, err
	}
	request.RemoteAddr = "127.0.0.1:1"
	request.Host = s.double.options.Config.Addr
	request.Header.Set("Authorization", "Bearer "+s.double.Token)
	request.Header.Set("Content-Type", "application/json")
	answer := &recorder{header: http.Header{}}
	s.world.app.Server.ServeHTTP(answer, request)
	if err := json.Unmarshal(answer.body.Bytes(), &c); err != nil {
		return c, err
	}
	if answer.status == http.StatusCreated {
		return c, nil
	}
	for _, field := range c.Errors {
		key, _, _ := strings.Cut(field.Field, "[")
		key, _, _ = strings.Cut(key, ".")
		return c, e.at(key, field.Message)
	}
	return c, e.at("", c.Detail)
}

// recorder keeps an answer.
type recorder struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header returns the header of the answer.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader keeps the status.
func (r *recorder) WriteHeader(status int) { r.status = status }

// Write keeps a part of the body.
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

// readSeed returns the entries of each list of a seed. The error is a wrong.
func readSeed(seed []byte) (map[string][]entry, error) {
	if len(seed) > maxSeed {
		return nil, wrong{1, "a seed has at most 4 MiB"}
	}
	file, err := parser.ParseBytes(seed, 0)
	if err != nil {
		return nil, unreadable(err)
	}
	lists := map[string][]entry{}
	for i, document := range file.Docs {
		if document.Body == nil || document.Body.Type() == ast.NullType || document.Body.Type() == ast.CommentType {
			continue
		}
		if i > 0 {
			return nil, wrong{lineOf(document.Body), "a seed is one document"}
		}
		pairs, ok := pairsOf(document.Body)
		if !ok {
			return nil, wrong{lineOf(document.Body), "a seed has the lists " + strings.Join(sections, ", ")}
		}
		for _, pair := range pairs {
			section := keyOf(pair)
			if !slices.Contains(sections, section) {
				text := fmt.Sprintf("there is no list %q, but %s", section, strings.Join(sections, ", "))
				return nil, wrong{lineOf(pair.Key), text}
			}
			if lists[section], err = readList(section, pair.Value); err != nil {
				return nil, err
			}
		}
	}
	return lists, nil
}

func readList(section string, list ast.Node) ([]entry, error) {
	if list.Type() == ast.NullType {
		return nil, nil
	}
	sequence, ok := list.(*ast.SequenceNode)
	if !ok {
		return nil, wrong{lineOf(list), section + " must be a list"}
	}
	var entries []entry
	for i, node := range sequence.Values {
		e := entry{path: fmt.Sprintf("%s[%d]", section, i), line: lineOf(node), keys: map[string]int{}}
		pairs, ok := pairsOf(node)
		if !ok {
			return nil, e.at("", "it must have keys and values")
		}
		for _, pair := range pairs {
			e.keys[keyOf(pair)] = lineOf(pair.Key)
		}
		if err := yaml.NodeToValue(node, &e.body); err != nil {
			return nil, unreadable(err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// pairsOf returns the keys and values of a node, or false if it has none.
func pairsOf(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}, true
	}
	return nil, false
}

// keyOf returns a key as it is written, without quotes.
func keyOf(pair *ast.MappingValueNode) string {
	if text, ok := pair.Key.(*ast.StringNode); ok {
		return text.Value
	}
	return pair.Key.String()
}

func lineOf(node ast.Node) int {
	if token := node.GetToken(); token != nil && token.Position != nil {
		return token.Position.Line
	}
	return 1
}

// unreadable returns the mistake of YAML that cannot be read.
func unreadable(err error) error {
	var of yaml.Error
	if errors.As(err, &of) && of.GetToken() != nil && of.GetToken().Position != nil {
		return wrong{of.GetToken().Position.Line, of.GetMessage()}
	}
	return wrong{1, "it cannot be read as YAML"}
}
