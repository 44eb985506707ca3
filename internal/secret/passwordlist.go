package secret

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // what the list is made of; nothing of ours is kept by it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/rosterhq/roster/internal/identity"
)

// PasswordList is a file of passwords that are refused, of one of two kinds, told by
// the first line:
//
//   - plain lines, one password each, compared in lower case; all of it is loaded;
//   - the list of Have I Been Pwned ordered by hash (40 hexadecimal digits of SHA-1, a
//     colon and a count per line), which is searched where it is: it has tens of
//     gigabytes.
//
// Lines end in LF or CRLF. It is safe for concurrent use.
type PasswordList struct {
	plain []string // in order; nil where the list is of hashes

	hashes io.ReaderAt
	size   int64 // bytes
	close  func() error
}

const (
	// maxPlainList bounds a list that is loaded.
	maxPlainList = 64 << 20 // bytes
	// checkedHead is how much of a list of hashes is looked at when it is opened.
	checkedHead = 64 << 10 // bytes
	hashDigits  = 2 * sha1.Size
	// maxHashLine is more than any line of hashes has.
	maxHashLine = 128 // bytes
)

// OpenPasswordList opens the list in a file. The error says what is wrong with the file,
// its name aside: it is missing, unreadable, empty, too large to load, or of neither kind.
func OpenPasswordList(path string) (*PasswordList, error) {
	// Before it is opened: a pipe would wait for someone to write to it.
	switch info, err := os.Stat(path); {
	case err != nil:
		return nil, withoutPath(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("is not a file")
	}
	file, err := os.Open(path) //nolint:gosec // the operator's own choice
	if err != nil {
		return nil, withoutPath(err)
	}
	info, err := file.Stat()
	if err == nil {
		var list *PasswordList
		if list, err = newPasswordList(file, info.Size()); err == nil && list.hashes != nil {
			list.close = file.Close
			return list, nil
		}
		if err == nil {
			return list, file.Close()
		}
	}
	return nil, errors.Join(withoutPath(err), file.Close())
}

// withoutPath leaves of a file's error what is wrong.
func withoutPath(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

func newPasswordList(file io.ReaderAt, size int64) (*PasswordList, error) {
	head := make([]byte, min(size, checkedHead))
	if _, err := file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	first, _, _ := bytes.Cut(head, []byte("\n"))
	switch {
	case len(bytes.TrimSpace(head)) == 0:
		return nil, errors.New("is empty")
	case isHashLine(trimLine(first)):
		return newHashList(file, size, head)
	case size > maxPlainList:
		return nil, fmt.Errorf("has more than %d MiB of plain lines; "+
			"only a list of SHA-1 hashes, ordered by hash, may be larger", maxPlainList>>20)
	}
	content := make([]byte, size)
	if _, err := file.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return newPlainList(content)
}

func newPlainList(content []byte) (*PasswordList, error) {
	text := strings.ToLower(string(bytes.TrimPrefix(content, []byte("\ufeff"))))
	list := &PasswordList{plain: make([]string, 0, strings.Count(text, "\n")+1)}
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimSuffix(line, "\r")
		if isHashLine([]byte(line)) {
			return nil, fmt.Errorf("has plain lines and, in line %d, a SHA-1 hash; it must have one kind", number)
		}
		if line != "" {
			list.plain = append(list.plain, line)
		}
	}
	slices.Sort(list.plain)
	return list, nil
}

// newHashList checks the lines at the start of a list of hashes, and the last one.
func newHashList(file io.ReaderAt, size int64, head []byte) (*PasswordList, error) {
	if int64(len(head)) < size { // the last line of the head may go on
		head = head[:bytes.LastIndexByte(head, '\n')+1]
	}
	before := ""
	number := 0
	for line := range bytes.Lines(head) {
		number++
		if line = trimLine(line); !isHashLine(line) {
			return nil, fmt.Errorf("has SHA-1 hashes and, in line %d, something else", number)
		}
		hash := strings.ToUpper(string(line[:hashDigits]))
		if hash <= before {
			return nil, fmt.Errorf("is not ordered by hash: see line %d", number)
		}
		before = hash
	}
	list := &PasswordList{hashes: file, size: size}
	last, _, err := list.lineAround(size - 1)
	if err != nil {
		return nil, err
	}
	if last.hash < before {
		return nil, errors.New("is not ordered by hash: see the last line")
	}
	return list, nil
}

func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// isHashLine reports whether a line has a SHA-1 hash and a count.
func isHashLine(line []byte) bool {
	if len(line) < hashDigits+len(":0") || len(line) > maxHashLine-len("\r\n") || line[hashDigits] != ':' {
		return false
	}
	if _, err := hex.Decode(make([]byte, sha1.Size), line[:hashDigits]); err != nil {
		return false
	}
	return !bytes.ContainsFunc(line[hashDigits+1:], func(r rune) bool { return r < '0' || r > '9' })
}

// Contains reports whether a password is on the list. The error is that of reading the
// file, or that it is no longer what it was when it was opened.
func (l *PasswordList) Contains(password identity.Password) (bool, error) {
	if l.hashes == nil {
		_, found := slices.BinarySearch(l.plain, strings.ToLower(string(password)))
		return found, nil
	}
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see above
	return l.containsHash(strings.ToUpper(hex.EncodeToString(sum[:])))
}

// containsHash searches the lines that begin from low up to high, not included.
func (l *PasswordList) containsHash(hash string) (bool, error) {
	for low, high := int64(0), l.size; low < high; {
		line, next, err := l.lineAround(low + (high-low)/2)
		switch {
		case err != nil:
			return false, err
		case line.hash == hash:
			return true, nil
		case line.hash < hash:
			low = next
		default:
			high = line.start
		}
	}
	return false, nil
}

// hashLine is a line of a list of hashes.
type hashLine struct {
	start int64  // its place in the file
	hash  string // in upper case
}

// lineAround returns the line that has a place of the file in it, and where the next one
// starts.
func (l *PasswordList) lineAround(place int64) (line hashLine, next int64, err error) {
	from := max(0, place-maxHashLine)
	around := make([]byte, min(l.size-from, 2*maxHashLine))
	if n, err := l.hashes.ReadAt(around, from); n < len(around) {
		return hashLine{}, 0, fmt.Errorf("reading the list of passwords: %w", err)
	}
	at := int(place - from)
	start := bytes.LastIndexByte(around[:at], '\n') + 1 // 0 where the file starts, or else no line
	length := len(around) - start
	if end := bytes.IndexByte(around[at:], '\n'); end >= 0 {
		length = at + end + 1 - start
	}
	text := trimLine(around[start : start+length])
	if !isHashLine(text) {
		return hashLine{}, 0, fmt.Errorf("the list of passwords has no hash at %d", from+int64(start))
	}
	line = hashLine{start: from + int64(start), hash: strings.ToUpper(string(text[:hashDigits]))}
	return line, line.start + int64(length), nil
}

// Close closes the file of the list, if it is open.
func (l *PasswordList) Close() error {
	if l == nil || l.close == nil {
		return nil
	}
	return l.close()
}
