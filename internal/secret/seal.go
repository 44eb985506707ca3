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
	"slices"
	"strings"
)

// Sealer keeps secrets that have to be read again, such as those of
// authenticators, from whoever sees the database alone: AES-256-GCM with a key
// derived by HKDF (RFC 5869). Texts that only have to be recognised it keeps as
// HMAC-SHA-256 (RFC 2104), with a key of its own.
type Sealer struct{ keys []sealKey }

type sealKey struct {
	name string // which key has sealed something; tells nothing about it
	aead cipher.AEAD
	mac  []byte
}

// NewSealer returns a sealer that seals with the first key and opens what any
// of them has sealed. Empty keys are left out.
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

// Seal returns the secret in a form that only Open reads, and only for the same
// purpose, such as "totp 7": moved to another place it is worth nothing.
func (s *Sealer) Seal(secret, purpose string) string {
	key := s.keys[0]
	sealed := key.aead.Seal(nil, nil, []byte(secret), []byte(purpose)) //nolint:gosec // G407: it draws the nonce itself
	return key.name + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open returns what was sealed. The error says that the key is not there, or
// that the text is not what Seal wrote for this purpose.
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

// MAC returns what VerifyMAC recognises a text by, for the same purpose only. It
// is made with the first key and tells nothing of the text to those without it.
func (s *Sealer) MAC(purpose, text string) string { return s.keys[0].macOf(purpose, text) }

// VerifyMAC reports whether a text is the one that MAC was given, with whichever
// of the keys. It takes the same time wherever the two differ.
func (s *Sealer) VerifyMAC(mac, purpose, text string) bool {
	return slices.ContainsFunc(s.keys, func(key sealKey) bool {
		return hmac.Equal([]byte(mac), []byte(key.macOf(purpose, text)))
	})
}

func (k sealKey) macOf(purpose, text string) string {
	h := hmac.New(sha256.New, k.mac)
	fmt.Fprintf(h, "%d %s%s", len(purpose), purpose, text) // where one ends and the other begins is part of it
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// NewCode returns six random digits.
func NewCode() string {
	const digits = "0123456789"
	return randomText(digits, 6)
}

// NewRecoveryCode returns a code that stands in for a lost authenticator: 80
// random bits in four groups, without letters and digits that look alike.
func NewRecoveryCode() string {
	const alphabet, groups, length = "abcdefghjkmnpqrstuvwxyz23456789", 4, 4 // 31^16 > 2^79
	parts := make([]string, groups)
	for i := range parts {
		parts[i] = randomText(alphabet, length)
	}
	return strings.Join(parts, "-")
}

// randomText draws characters from an alphabet of at most 256, all alike.
func randomText(alphabet string, length int) string {
	most := 256 - 256%len(alphabet) // beyond it some would be drawn more often
	text := make([]byte, 0, length)
	var b [1]byte
	for len(text) < length {
		_, _ = rand.Read(b[:]) // never fails (crypto/rand)
		if int(b[0]) < most {
			text = append(text, alphabet[int(b[0])%len(alphabet)])
		}
	}
	return string(text)
}
