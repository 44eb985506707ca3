package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // PBKDF2 with SHA-1, which other systems have used
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"hash"

	"github.com/go-crypt/x/crypt"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"

	"github.com/rosterhq/roster/internal/identity"
)

// matches reports whether a password is the one that was hashed. The hash comes from
// identity.ParsePasswordHash, which bounds its cost.
func matches(h identity.PasswordHash, password []byte) bool {
	if h.Kind == identity.Bcrypt {
		return bcrypt.CompareHashAndPassword(h.Key, password) == nil
	}
	key, err := derive(h, password)
	return err == nil && subtle.ConstantTimeCompare(key, h.Key) == 1
}

// derive returns the key that a hash has if the password is right. bcrypt has no such key.
func derive(h identity.PasswordHash, password []byte) ([]byte, error) {
	lanes, length := uint8(h.Lanes), len(h.Key) //nolint:gosec // at most 255
	switch h.Kind {
	case identity.Argon2id: // RFC 9106
		return argon2.IDKey(password, h.Salt, h.Time, h.Memory, lanes, uint32(length)), nil //nolint:gosec // at most 128
	case identity.Argon2i:
		return argon2.Key(password, h.Salt, h.Time, h.Memory, lanes, uint32(length)), nil //nolint:gosec // at most 128
	case identity.Scrypt: // RFC 7914
		return scrypt.Key(password, h.Salt, int(h.Memory), int(h.Block), int(h.Lanes), length)
	case identity.FirebaseScrypt:
		return firebaseScrypt(h, password)
	case identity.PBKDF2SHA1: // RFC 8018
		return iterate(sha1.New, h, password)
	case identity.PBKDF2SHA256:
		return iterate(sha256.New, h, password)
	case identity.PBKDF2SHA512:
		return iterate(sha512.New, h, password)
	case identity.SHA256Crypt: // https://www.akkadia.org/drepper/SHA-crypt.txt
		return crypt.KeySHACrypt(sha256.New, password, h.Salt, int(h.Time)), nil
	case identity.SHA512Crypt:
		return crypt.KeySHACrypt(sha512.New, password, h.Salt, int(h.Time)), nil
	default:
		return nil, nil // a key that no hash has
	}
}

func iterate[H hash.Hash](digest func() H, h identity.PasswordHash, password []byte) ([]byte, error) {
	return pbkdf2.Key(digest, string(password), h.Salt, int(h.Time), len(h.Key))
}

// firebaseScrypt is the variant of https://github.com/firebase/scrypt: scrypt makes the key that
// the project's signer key is encrypted with, by AES-256 in counter mode from zero.
func firebaseScrypt(h identity.PasswordHash, password []byte) ([]byte, error) {
	const aes256 = 32 // bytes of a key
	key, err := scrypt.Key(password, h.Salt, int(h.Memory), int(h.Block), int(h.Lanes), aes256)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	encrypted := make([]byte, len(h.SignerKey))
	counter := make([]byte, aes.BlockSize)
	cipher.NewCTR(block, counter).XORKeyStream(encrypted, h.SignerKey) //nolint:gosec // each key encrypts once
	return encrypted, nil
}
