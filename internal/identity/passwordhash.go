package identity

import (
	"encoding/base64"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Bounds of a password hash. They hold when a hash is imported and when one is compared, so
// that no hash makes a sign-in long or takes much memory.
const (
	// MaxHashLength is the length of the longest hash, in bytes.
	MaxHashLength = 512
	// MaxBcryptCost is the highest cost of bcrypt, about three seconds.
	MaxBcryptCost = 15
	// MaxHashWork is the most work of a hash of another kind, see PasswordHash.Work. That is about
	// 2,100,000 iterations of PBKDF2 with SHA-1 or SHA-256 and 1,000,000 with SHA-512, as many rounds
	// of SHA-crypt, 1 GiB that argon2 writes in all its passes, and N·r·p = 2^21 of scrypt.
	MaxHashWork = 1 << 14
	// MaxHashMemory is the most memory of a hash, in bytes.
	MaxHashMemory = 128 << 20

	minHashKey, maxHashKey   = 16, 128 // bytes; a shorter key is matched by too many passwords
	minHashSalt, maxHashSalt = 1, 128  // bytes
	maxHashLanes             = 255
	minCryptRounds           = 1000 // of SHA-crypt
	maxCryptSalt             = 16   // characters
)

// HashKind is an algorithm of password hashes.
type HashKind string

// The kinds of password hashes that Roster can compare. It makes those of bcrypt only.
const (
	Bcrypt         HashKind = "bcrypt"
	Argon2i        HashKind = "argon2i"
	Argon2id       HashKind = "argon2id"
	Scrypt         HashKind = "scrypt"
	FirebaseScrypt HashKind = "firescrypt"
	PBKDF2SHA1     HashKind = "pbkdf2-sha1"
	PBKDF2SHA256   HashKind = "pbkdf2-sha256"
	PBKDF2SHA512   HashKind = "pbkdf2-sha512"
	SHA256Crypt    HashKind = "sha256-crypt"
	SHA512Crypt    HashKind = "sha512-crypt"
)

// PasswordHash is the hash of a password in its parts.
type PasswordHash struct {
	Kind HashKind
	// Time is the cost of bcrypt, which is a power of two, the passes of argon2, the iterations of
	// PBKDF2, and the rounds of SHA-crypt.
	Time uint32
	// Memory is that of argon2 in KiB, and N of scrypt.
	Memory uint32
	// Block is r of scrypt.
	Block uint32
	// Lanes is p of argon2 and scrypt.
	Lanes uint32
	// Salt and Key are as the algorithm takes and returns them. The key of bcrypt is the text from $2 on.
	Salt, Key []byte
	// SignerKey is what FirebaseScrypt encrypts. Its Salt includes the separator of the project.
	SignerKey []byte
}

// String hides the hash.
func (h PasswordHash) String() string { return "[password hash]" }

// GoString hides the hash from %#v.
func (h PasswordHash) GoString() string { return h.String() }

// ParsePasswordHash reads a hash that another system has made:
//
//   - $2a$, $2b$, $2y$: bcrypt
//   - $argon2id$v=19$m=…,t=…,p=…$salt$key, and argon2i: the PHC string format
//   - $scrypt$ln=…,r=…,p=…$salt$key: the same; Ory Kratos writes N as ln
//   - $firescrypt$ln=…,r=…,p=…$salt$key$separator$signer: Firebase, as Ory Kratos writes it
//   - $pbkdf2-sha256$i=…,l=…$salt$key and $pbkdf2-sha256$iterations$salt$key, also with sha1
//     and sha512; $pbkdf2$ is sha1: Ory Kratos and passlib
//   - pbkdf2_sha256$iterations$salt$key, also pbkdf2_sha1: Django; it may also have bcrypt$ and
//     argon2$ before one of the above
//   - $5$ and $6$: SHA-crypt
//
// The error is a *ValueError: the kind is unknown, the hash has not the form of its kind, or it
// costs more than the bounds above. Nothing is computed: a costly hash is refused at once.
func ParsePasswordHash(text string) (PasswordHash, error) {
	if len(text) > MaxHashLength {
		return PasswordHash{}, invalid("too_long", "must have at most %d bytes", MaxHashLength)
	}
	h, known := readPasswordHash(text)
	switch {
	case !known || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return PasswordHash{}, invalid("unknown_hash", "is no hash of bcrypt, argon2id, argon2i, scrypt, PBKDF2 or SHA-crypt")
	case !h.hasForm():
		return PasswordHash{}, invalid("malformed_hash", "is not a complete hash of %s", h.Kind)
	case h.Kind == Bcrypt && h.Time <= MaxBcryptCost:
		return h, nil
	case h.Work() > MaxHashWork || h.Bytes() > MaxHashMemory:
		return PasswordHash{}, invalid("costly_hash", "takes too much time or memory to compare")
	}
	return h, nil
}

// hasForm reports whether the parts have values that their algorithm is defined for.
func (h PasswordHash) hasForm() bool {
	if h.Kind == Bcrypt {
		return h.Time >= 4
	}
	if len(h.Key) < minHashKey || len(h.Key) > maxHashKey || len(h.Salt) < minHashSalt || len(h.Salt) > maxHashSalt {
		return false
	}
	lanes := h.Lanes >= 1 && h.Lanes <= maxHashLanes
	switch h.Kind {
	case Argon2i, Argon2id:
		return lanes && h.Time >= 1 && h.Memory >= 8*h.Lanes
	case Scrypt:
		return lanes && h.Block >= 1 && h.Memory >= 2 && bits.OnesCount32(h.Memory) == 1
	case FirebaseScrypt:
		return lanes && h.Block >= 1 && h.Memory >= 2 && len(h.SignerKey) == len(h.Key)
	case SHA256Crypt, SHA512Crypt:
		return h.Time >= minCryptRounds && len(h.Salt) <= maxCryptSalt && len(h.Key) == cryptKeyLength(h.Kind)
	default:
		return h.Time >= 1
	}
}

// Work returns the work of a comparison in rounds of bcrypt, which are about 80 µs each. It
// depends on the parameters only. That of the other kinds is an estimate.
func (h PasswordHash) Work() int64 {
	time, memory := int64(h.Time), int64(h.Memory)
	switch h.Kind {
	case Bcrypt:
		return 1 << min(h.Time, 62)
	case Argon2i, Argon2id:
		return 1 + product(time, memory)>>6 // 64 KiB
	case Scrypt, FirebaseScrypt:
		return 1 + product(product(memory, int64(h.Block)), int64(h.Lanes))>>7
	case PBKDF2SHA512, SHA512Crypt:
		return 1 + time*h.blocks()>>6
	default:
		return 1 + time*h.blocks()>>7
	}
}

// product returns a·b of two numbers that are not negative, or the greatest number if it is less.
func product(a, b int64) int64 {
	if a != 0 && b > math.MaxInt64/a {
		return math.MaxInt64
	}
	return a * b
}

// digestSizes has the sizes of the hash functions of PBKDF2, in bytes.
var digestSizes = map[HashKind]int{PBKDF2SHA1: 20, PBKDF2SHA256: 32, PBKDF2SHA512: 64}

// blocks returns how often PBKDF2 runs all iterations: once for each part of its key that is as
// long as a digest. It is 1 for the other kinds.
func (h PasswordHash) blocks() int64 {
	size := digestSizes[h.Kind]
	if size == 0 {
		return 1
	}
	return int64((len(h.Key) + size - 1) / size)
}

// Bytes returns the bytes of memory that a comparison takes, or 0 for few.
func (h PasswordHash) Bytes() int64 {
	switch h.Kind {
	case Argon2i, Argon2id:
		return int64(h.Memory) << 10
	case Scrypt, FirebaseScrypt:
		return product(128*int64(h.Memory), int64(h.Block))
	default:
		return 0
	}
}

// usualBcryptCost is the highest cost of hashes that need no decoy of their own.
const usualBcryptCost = 10

// DecoyOf returns a hash that takes as long to compare as the given one and that no password is
// known for. Hashes with the same parameters have the same decoy. It returns "" for what is no
// hash, and for bcrypt of a cost up to 10: a comparison always takes at least that long.
func DecoyOf(text string) string {
	h, err := ParsePasswordHash(text)
	if err != nil || h.Kind == Bcrypt && h.Time <= usualBcryptCost {
		return ""
	}
	const salt = 16 // bytes; the length of a salt costs nothing but in SHA-crypt
	switch h.Kind {
	case Bcrypt:
		return BcryptDecoy(int(h.Time))
	case Argon2i, Argon2id:
		return fmt.Sprintf("$%s$v=19$m=%d,t=%d,p=%d$%s$%s", h.Kind, h.Memory, h.Time, h.Lanes, zeros(salt), zeros(32))
	case Scrypt, FirebaseScrypt: // that Firebase encrypts 64 bytes as well costs nothing
		log := bits.Len32(h.Memory) - 1
		return fmt.Sprintf("$%s$ln=%d,r=%d,p=%d$%s$%s", Scrypt, log, h.Block, h.Lanes, zeros(salt), zeros(32))
	case SHA256Crypt, SHA512Crypt:
		prefix := map[HashKind]string{SHA256Crypt: "5", SHA512Crypt: "6"}[h.Kind]
		dots := func(n int) string { return strings.Repeat(".", n) }
		return fmt.Sprintf("$%s$rounds=%d$%s$%s", prefix, h.Time, dots(len(h.Salt)), dots(len(h.Key)))
	default:
		size := min(int(h.blocks())*digestSizes[h.Kind], maxHashKey)
		return fmt.Sprintf("$%s$%d$%s$%s", h.Kind, h.Time, zeros(salt), zeros(size))
	}
}

// bcryptDecoyTail holds the salt and the digest of a decoy.
const bcryptDecoyTail = "rosterrosterrosterroste.SK1u0xS4Vb9vR7eD2mYw5nQhXcJtG"

// BcryptDecoy returns a hash of bcrypt of the given cost that no password is known for.
func BcryptDecoy(cost int) string { return fmt.Sprintf("$2a$%02d$%s", cost, bcryptDecoyTail) }

func zeros(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }

func cryptKeyLength(kind HashKind) int {
	if kind == SHA256Crypt {
		return 43 // characters of 6 bits
	}
	return 86
}

// readPasswordHash splits a hash into its parts, and reports whether its kind is known. The zero
// values of parts that cannot be read are refused by hasForm.
func readPasswordHash(text string) (h PasswordHash, known bool) {
	for _, prefix := range []string{"bcrypt$", "argon2$"} {
		if after, found := strings.CutPrefix(text, prefix); found { // Django
			text = after
			if !strings.HasPrefix(text, "$") {
				text = "$" + text
			}
		}
	}
	parts := strings.Split(text, "$")
	if parts[0] != "" {
		return readDjango(parts)
	}
	if len(parts) < 2 {
		return h, false
	}
	switch kind := HashKind(parts[1]); kind {
	case "2a", "2b", "2y":
		return readBcrypt(parts), true
	case Argon2i, Argon2id:
		return readArgon2(kind, parts), true
	case Scrypt:
		return readScrypt(kind, parts, 5), true
	case FirebaseScrypt:
		return readScrypt(kind, parts, 7), true
	case PBKDF2SHA1, PBKDF2SHA256, PBKDF2SHA512:
		return readPBKDF2(kind, parts), true
	case "pbkdf2":
		return readPBKDF2(PBKDF2SHA1, parts), true
	case "5":
		return readSHACrypt(SHA256Crypt, parts), true
	case "6":
		return readSHACrypt(SHA512Crypt, parts), true
	}
	return h, false
}

func readBcrypt(parts []string) PasswordHash {
	h := PasswordHash{Kind: Bcrypt}
	const saltAndDigest = 53 // characters
	if len(parts) == 4 && len(parts[2]) == 2 && len(parts[3]) == saltAndDigest && isCrypt64(parts[3]) {
		h.Time, h.Key = number(parts[2]), []byte(strings.Join(parts, "$"))
	}
	return h
}

func readArgon2(kind HashKind, parts []string) PasswordHash {
	h := PasswordHash{Kind: kind}
	if len(parts) != 6 || parts[2] != "v=19" {
		return h
	}
	values := parameters(parts[3])
	h.Memory, h.Time, h.Lanes = values["m"], values["t"], values["p"]
	h.Salt, h.Key = base64Bytes(parts[4]), base64Bytes(parts[5])
	return h
}

// readScrypt reads also Firebase's variant, which has two more parts.
func readScrypt(kind HashKind, parts []string, count int) PasswordHash {
	h := PasswordHash{Kind: kind}
	if len(parts) != count {
		return h
	}
	values := parameters(parts[2])
	h.Block, h.Lanes = values["r"], values["p"]
	switch log := values["ln"]; {
	case log < 32:
		h.Memory = 1 << log
	case kind == Scrypt:
		h.Memory = log // Ory Kratos writes N itself
	default:
		h.Memory = 1 << 31
	}
	h.Salt, h.Key = base64Bytes(parts[3]), base64Bytes(parts[4])
	if kind == FirebaseScrypt {
		h.Salt = append(h.Salt, base64Bytes(parts[5])...)
		h.SignerKey = base64Bytes(parts[6])
	}
	return h
}

func readPBKDF2(kind HashKind, parts []string) PasswordHash {
	h := PasswordHash{Kind: kind}
	if len(parts) != 5 {
		return h
	}
	if h.Time = number(parts[2]); h.Time == 0 {
		h.Time = parameters(parts[2])["i"]
	}
	h.Salt, h.Key = base64Bytes(parts[3]), base64Bytes(parts[4])
	return h
}

func readDjango(parts []string) (h PasswordHash, known bool) {
	switch parts[0] {
	case "pbkdf2_sha1":
		h.Kind = PBKDF2SHA1
	case "pbkdf2_sha256":
		h.Kind = PBKDF2SHA256
	default:
		return h, false
	}
	if len(parts) == 4 {
		h.Time, h.Salt, h.Key = number(parts[1]), []byte(parts[2]), base64Bytes(parts[3])
	}
	return h, true
}

func readSHACrypt(kind HashKind, parts []string) PasswordHash {
	h := PasswordHash{Kind: kind, Time: 5000} // where no rounds are given
	if len(parts) == 5 {
		rounds, found := strings.CutPrefix(parts[2], "rounds=")
		if h.Time = number(rounds); !found {
			h.Time = 0
		}
		parts = append(parts[:2], parts[3:]...)
	}
	if len(parts) == 4 && isCrypt64(parts[3]) {
		h.Salt, h.Key = []byte(parts[2]), []byte(parts[3])
	}
	return h
}

// parameters reads "m=65536,t=3,p=4". A value that cannot be read is 0.
func parameters(text string) map[string]uint32 {
	values := map[string]uint32{}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = number(value)
	}
	return values
}

// number reads a number in decimal digits. It returns 0 for what is none, and the greatest number
// for a greater one.
func number(text string) uint32 {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0
	}
	n, _ := strconv.ParseUint(text, 10, 32) // the greatest number for one out of range
	return uint32(n)
}

// base64Bytes decodes base64 with and without padding, also in the alphabet of passlib, which has a
// dot in the place of the plus. It returns nil for what is none.
func base64Bytes(text string) []byte {
	text = strings.ReplaceAll(strings.TrimRight(text, "="), ".", "+")
	decoded, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil
	}
	return decoded
}

// isCrypt64 reports whether a text has only the digits that crypt(3) writes six bits with.
func isCrypt64(text string) bool {
	return strings.Trim(text, "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}
