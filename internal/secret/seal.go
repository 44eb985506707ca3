package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Sealer encrypts secrets that must be read again, such as those of authenticators,
// so that the database alone does not show them. It uses AES-256-GCM with a key
// derived by HKDF (RFC 5869). For texts that must only be recognised it makes an
// HMAC-SHA-256 (RFC 2104) with another derived key.
type Sealer struct{ keys []sealKey }

type sealKey struct {
	name string // identifies the key; the key cannot be derived from it
	aead cipher.AEAD
	mac  []byte
}

// NewSealer returns a sealer that seals with the first key and opens what any of the
// keys has sealed. It ignores empty keys and fails when no other key is left.
func NewSealer(keys ...string) (*Sealer, error) {
	s := &Sealer{}
	for _, text := range keys {
		if text == "" {
			continue
		}
		const keyBytes, nameBytes = 32, 6
		derived, err := hkdf.Key(sha256.New, []byte(text), nil, "roster sealing", keyBytes)
		if err != nil {
			return nil, err
		}
		name, err := hkdf.Key(sha256.New, []byte(text), nil, "roster key name", nameBytes)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(derived)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		mac, err := hkdf.Key(sha256.New, []byte(text), nil, "roster mac", keyBytes)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, sealKey{base64.RawURLEncoding.EncodeToString(name), aead, mac})
	}
	if len(s.keys) == 0 {
		return nil, errors.New("no key to seal secrets with")
	}
	return s, nil
}

// NewKey returns a random key for NewSealer, of 128 bits or more.
func NewKey() string { return rand.Text() }

// Seal encrypts a secret for a purpose, such as "totp 7". Open needs the same purpose,
// so a sealed secret that is copied to another row is useless.
func (s *Sealer) Seal(secret, purpose string) string {
	key := s.keys[0]
	sealed := key.aead.Seal(nil, nil, []byte(secret), []byte(purpose)) //nolint:gosec // G407: the AEAD makes the nonce
	return key.name + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open returns the secret that was sealed. It fails when the key is not configured, or
// when the text is not one that Seal wrote for this purpose.
func (s *Sealer) Open(sealed, purpose string) (string, error) {
	name, text, _ := strings.Cut(sealed, ".")
	for _, key := range s.keys {
		if key.name != name {
			continue
		}
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			return "", fmt.Errorf("sealed secret: %w", err)
		}
		secret, err := key.aead.Open(nil, nil, raw, []byte(purpose))
		if err != nil {
			return "", fmt.Errorf("sealed secret: %w", err)
		}
		return string(secret), nil
	}
	return "", errors.New("a secret was sealed with a key that is not configured (ROSTER_SECRET_KEY)")
}

// MAC returns a code of a text and a purpose, made with the first key. VerifyMAC checks
// it. Without the key, it shows nothing of the text.
func (s *Sealer) MAC(purpose, text string) string { return s.keys[0].macOf(purpose, text) }

// VerifyMAC reports whether mac was made of this purpose and text with any of the keys.
// The time does not depend on where the codes differ.
func (s *Sealer) VerifyMAC(mac, purpose, text string) bool {
	return slices.ContainsFunc(s.keys, func(key sealKey) bool {
		return hmac.Equal([]byte(mac), []byte(key.macOf(purpose, text)))
	})
}

func (k sealKey) macOf(purpose, text string) string {
	h := hmac.New(sha256.New, k.mac)
	fmt.Fprintf(h, "%d %s%s", len(purpose), purpose, text) // the length separates the two
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// NewCode returns six random digits.
func NewCode(random io.Reader) string {
	const digits = "0123456789"
	return randomText(digits, 6, random)
}

// NewRecoveryCode returns a code that replaces a lost authenticator: 79 random bits in
// four groups, without letters and digits that look alike.
func NewRecoveryCode(random io.Reader) string {
	const alphabet, groups, length = "abcdefghjkmnpqrstuvwxyz23456789", 4, 4 // 31^16 > 2^79
	parts := make([]string, groups)
	for i := range parts {
		parts[i] = randomText(alphabet, length, random)
	}
	return strings.Join(parts, "-")
}

// randomText returns random characters of an alphabet of at most 256, each equally
// likely.
func randomText(alphabet string, length int, random io.Reader) string {
	limit := 256 - 256%len(alphabet) // bytes from here on would favour some characters
	text := make([]byte, 0, length)
	var b [1]byte
	for len(text) < length {
		fill(b[:], random)
		if int(b[0]) < limit {
			text = append(text, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(text)
}
