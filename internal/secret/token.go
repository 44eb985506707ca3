// Package secret is every use of cryptography: hashing of passwords, making and
// digesting of tokens. Nothing else in Roster touches a secret but to pass it on.
package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
)

// TokenPrefix starts every token, so that secret scanners can spot a leaked one.
const TokenPrefix = "rst_"

// NewToken returns a new token: TokenPrefix and 256 random bits with their
// CRC-32, which lets a scanner tell a token from a look-alike, in base64url.
func NewToken() string {
	const randomBytes = 32
	raw := make([]byte, randomBytes, randomBytes+crc32.Size)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return TokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// Digest returns the SHA-256 of a text in hex: what is stored of a token and
// what a token is found by. A fast hash will do, for tokens cannot be guessed.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
