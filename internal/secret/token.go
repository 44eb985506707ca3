// Package secret holds all use of cryptography: hashing of passwords, sealing of
// secrets, making and digesting of tokens and codes. Other packages only pass
// secrets on.
package secret

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
)

// tokenPrefix starts every token, so that secret scanners can find a leaked one.
const tokenPrefix = "rst_"

// NewToken returns a new token: tokenPrefix and, in base64url, 256 random bits and
// their CRC-32. With the CRC, a scanner can reject texts that only look like tokens.
func NewToken(random io.Reader) string {
	const randomBytes = 32
	raw := make([]byte, randomBytes, randomBytes+crc32.Size)
	fill(raw, random)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// fill fills a slice with random bytes. It panics where there are none: a secret made
// without them could be guessed.
func fill(raw []byte, random io.Reader) {
	if _, err := io.ReadFull(random, raw); err != nil {
		panic(fmt.Errorf("no random bytes for a secret: %w", err))
	}
}

// Digest returns the SHA-256 of a text in hex. The database stores the digest of a
// token in place of the token. A fast hash is enough: tokens cannot be guessed.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
