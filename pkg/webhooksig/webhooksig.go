// Package webhooksig signs webhooks, as Roster does, and verifies them, as their
// receivers do. It has two schemes: Standard Webhooks and BI-Signature. It imports
// the standard library only and does not interpret the body.
//
// Both schemes sign the time and the body. [Verifier] refuses old times. A receiver
// that also remembers the ids of that period cannot be made to act twice by a
// repeated request.
package webhooksig

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "webhook-id"        // the same for each attempt of a message
	HeaderTimestamp = "webhook-timestamp" // seconds since 1970
	HeaderSignature = "webhook-signature" // v1,<base64>, once per secret, separated by spaces
)

// The headers of BI-Signature.
const (
	HeaderBIDate      = "BI-Signature-Date" // UTC, ISO 8601 with microseconds and Z
	HeaderBISignature = "BI-Signature"      // base64; one line per secret, the newest first
)

// DefaultTolerance is the maximum difference between the signed time and the
// receiver's clock, in either direction.
const DefaultTolerance = 5 * time.Minute

// The errors of signing and verifying.
var (
	ErrHeader    = errors.New("webhooksig: a signature header is missing or malformed")
	ErrTime      = errors.New("webhooksig: the signed time is too far from now")
	ErrSignature = errors.New("webhooksig: no signature matches")
	ErrSecret    = errors.New("webhooksig: a secret is malformed, or there is none")
	ErrID        = errors.New("webhooksig: an id has 1 to 255 visible ASCII characters and no dot")
)

const (
	secretPrefix = "whsec_"
	version      = "v1"
	biDateLayout = "2006-01-02T15:04:05.000000Z"

	secretBytes    = 32
	minSecretBytes = 24 // this and the next are the bounds of Standard Webhooks
	maxSecretBytes = 64
	maxIDLength    = 255
	maxTimeDigits  = 12 // enough until the year 33658
)

// NewSecret returns a new secret: whsec_ and 32 random bytes in base64.
func NewSecret() string { return NewSecretFrom(rand.Reader) }

// NewSecretFrom is NewSecret with the random bytes of a reader. It panics where the
// reader fails: a secret without random bytes could be guessed.
func NewSecretFrom(random io.Reader) string {
	raw := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		panic(fmt.Errorf("webhooksig: no random bytes for a secret: %w", err))
	}
	return secretPrefix + base64.StdEncoding.EncodeToString(raw)
}

// SignStandard sets the three headers of Standard Webhooks, with one signature per
// secret, in the order of the secrets. at is the time of sending; it is signed in
// whole seconds. It fails with ErrID or ErrSecret and then leaves the headers
// unchanged.
func SignStandard(header http.Header, id string, at time.Time, body []byte, secrets ...string) error {
	if !isID(id) {
		return ErrID
	}
	keys, err := standardKeys(secrets)
	if err != nil {
		return err
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signatures[i] = version + "," + signature(key, body, id, timestamp)
	}
	header.Set(HeaderID, id)
	header.Set(HeaderTimestamp, timestamp)
	header.Set(HeaderSignature, strings.Join(signatures, " "))
	return nil
}

// SignBI sets the headers of BI-Signature. at is the time of sending. path is that
// of the request line, escaped and without the query: EscapedPath of the URL, or /
// if that is empty. The key is the whole secret with its prefix. There is one
// BI-Signature line per secret. Give the newest secret first: some receivers read
// the first line only. It fails with ErrSecret and then leaves the headers unchanged.
func SignBI(header http.Header, method, path string, at time.Time, body []byte, secrets ...string) error {
	keys, err := wholeKeys(secrets)
	if err != nil {
		return err
	}
	date := at.UTC().Format(biDateLayout)
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signatures[i] = signature(key, body, method, biPath(path), date)
	}
	header.Set(HeaderBIDate, date)
	header[http.CanonicalHeaderKey(HeaderBISignature)] = signatures
	return nil
}

// Verifier checks the signatures of received webhooks. It accepts a request when any
// of its signatures was made with any of the secrets, so that a secret can be
// replaced while requests are in transit.
type Verifier struct {
	Secrets   []string
	Tolerance time.Duration    // 0 means DefaultTolerance
	Now       func() time.Time // nil means time.Now
}

// Standard checks the headers of Standard Webhooks against the unchanged body. It
// fails with ErrHeader, ErrTime, ErrSignature or ErrSecret, wrapped.
func (v Verifier) Standard(header http.Header, body []byte) error {
	keys, err := standardKeys(v.Secrets)
	if err != nil {
		return err
	}
	id, err := single(header, HeaderID)
	if err != nil {
		return err
	}
	timestamp, err := single(header, HeaderTimestamp)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	switch {
	case !isID(id):
		return fmt.Errorf("%w: %s", ErrHeader, HeaderID)
	case err != nil || len(timestamp) > maxTimeDigits || strconv.FormatInt(seconds, 10) != timestamp:
		return fmt.Errorf("%w: %s", ErrHeader, HeaderTimestamp)
	}
	var given []string
	for _, line := range header.Values(HeaderSignature) {
		for word := range strings.FieldsSeq(line) {
			if text, ok := strings.CutPrefix(word, version+","); ok {
				given = append(given, text)
			}
		}
	}
	return v.check(HeaderSignature, given, time.Unix(seconds, 0), keys, body, id, timestamp)
}

// BI checks the headers of BI-Signature against the method, the path, as for SignBI,
// and the unchanged body. It fails with ErrHeader, ErrTime, ErrSignature or
// ErrSecret, wrapped.
func (v Verifier) BI(header http.Header, method, path string, body []byte) error {
	keys, err := wholeKeys(v.Secrets)
	if err != nil {
		return err
	}
	date, err := single(header, HeaderBIDate)
	if err != nil {
		return err
	}
	at, err := time.Parse(biDateLayout, date)
	if err != nil || at.Format(biDateLayout) != date {
		return fmt.Errorf("%w: %s", ErrHeader, HeaderBIDate)
	}
	return v.check(HeaderBISignature, header.Values(HeaderBISignature), at, keys, body, method, biPath(path), date)
}

// check accepts a request when one of the given signatures is that of one of the keys
// and the time is within the tolerance.
func (v Verifier) check(name string, given []string, at time.Time, keys [][]byte, body []byte, signed ...string) error {
	if len(given) == 0 {
		return fmt.Errorf("%w: %s", ErrHeader, name)
	}
	now, tolerance := time.Now, DefaultTolerance
	if v.Now != nil {
		now = v.Now
	}
	if v.Tolerance != 0 {
		tolerance = v.Tolerance
	}
	if now().Sub(at).Abs() > tolerance {
		return ErrTime
	}
	for _, key := range keys {
		want := []byte(signature(key, body, signed...))
		for _, text := range given {
			if hmac.Equal(want, []byte(text)) {
				return nil
			}
		}
	}
	return ErrSignature
}

// signature returns the HMAC-SHA256 of the parts and the body, joined by dots,
// in base64.
func signature(key, body []byte, parts ...string) string {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write([]byte(part))
		mac.Write([]byte("."))
	}
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// isID reports whether an id can be signed. It refuses dots: a dot separates the
// signed parts, so an id with a dot could be read as a shorter id and another time.
func isID(id string) bool {
	return id != "" && len(id) <= maxIDLength && !strings.ContainsFunc(id, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '.'
	})
}

func single(header http.Header, name string) (string, error) {
	values := header.Values(name)
	if len(values) != 1 {
		return "", fmt.Errorf("%w: %s", ErrHeader, name)
	}
	return values[0], nil
}

func standardKeys(secrets []string) ([][]byte, error) {
	keys := make([][]byte, len(secrets))
	for i, secret := range secrets {
		text, ok := strings.CutPrefix(secret, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
			return nil, ErrSecret
		}
		keys[i] = key
	}
	return requireKey(keys)
}

func wholeKeys(secrets []string) ([][]byte, error) {
	keys := make([][]byte, len(secrets))
	for i, secret := range secrets {
		if secret == "" { // every sender could sign with it
			return nil, ErrSecret
		}
		keys[i] = []byte(secret)
	}
	return requireKey(keys)
}

func requireKey(keys [][]byte) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, ErrSecret
	}
	return keys, nil
}

func biPath(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
