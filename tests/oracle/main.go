// The real sops as a server for tests/it/differential: it encrypts, decrypts and prints with sops' own library, in the
// steps of its command line, as often as asked. Readers that KSOPS puts behind sops (godotenv) answer too.
//
// Frames on stdin and stdout: four bytes of length, big-endian; a line of JSON (request or response); the data. Requests
// are answered in order. Identities come from the environment, as for sops itself. The process ends with its stdin.
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/getsops/sops/v3/cmd/sops/formats"
	"github.com/getsops/sops/v3/logging"
	"github.com/getsops/sops/v3/version"
)

type request struct {
	// "encrypt" (two parts: the file, and what decrypting it gives), "decrypt", "opened", "canonical", "tree", "print",
	// "godotenv", "version"
	Op      string  `json:"op"`
	Format  string  `json:"format"` // "yaml", "json", "dotenv", "ini" or "binary"
	Seed    uint64  `json:"seed"`   // of the random numbers that an encryption draws
	Options options `json:"options"`
	data    []byte
}

// The encryption rules and keys of a new file, by the names of the metadata.
type options struct {
	UnencryptedSuffix       string     `json:"unencrypted_suffix"`
	EncryptedSuffix         string     `json:"encrypted_suffix"`
	UnencryptedRegex        string     `json:"unencrypted_regex"`
	EncryptedRegex          string     `json:"encrypted_regex"`
	UnencryptedCommentRegex string     `json:"unencrypted_comment_regex"`
	EncryptedCommentRegex   string     `json:"encrypted_comment_regex"`
	MACOnlyEncrypted        bool       `json:"mac_only_encrypted"`
	Groups                  [][]string `json:"groups"` // age recipients
	ShamirThreshold         int        `json:"shamir_threshold"`
}

// One answer of sops: bytes, or a refusal.
type part struct {
	Error  string `json:"error"` // empty on success
	Length int    `json:"length"`
	data   []byte
}

func main() {
	// Enough for any document of the test, and a quick end for those that recurse for ever.
	debug.SetMaxStack(16 << 20)
	// sops logs refused values.
	for _, logger := range logging.Loggers {
		logger.SetOutput(io.Discard)
	}
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		req, err := read(in)
		if err == io.EOF {
			return
		}
		check(err)
		answer(out, serve(req))
		if in.Buffered() == 0 {
			check(out.Flush())
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func read(in *bufio.Reader) (req request, err error) {
	var length uint32
	if err := binary.Read(in, binary.BigEndian, &length); err != nil {
		return req, err
	}
	frame := make([]byte, length)
	if _, err := io.ReadFull(in, frame); err != nil {
		return req, err
	}
	header, data, _ := bytes.Cut(frame, []byte("\n"))
	req.data = data
	return req, json.Unmarshal(header, &req)
}

func answer(out *bufio.Writer, parts []part) {
	var data []byte
	for index := range parts {
		parts[index].Length = len(parts[index].data)
		data = append(data, parts[index].data...)
	}
	header, err := json.Marshal(parts)
	check(err)
	check(binary.Write(out, binary.BigEndian, uint32(len(header)+1+len(data))))
	_, err = out.Write(append(append(header, '\n'), data...))
	check(err)
}

func serve(req request) []part {
	format := formats.FormatFromString(req.Format)
	if format == formats.Yaml && recurses(req.data) {
		return []part{{Error: "died"}}
	}
	switch req.Op {
	case "encrypt":
		file := attempt(func() ([]byte, error) { return encrypt(req, format) })
		if file.Error != "" {
			return []part{file}
		}
		return []part{file, attempt(func() ([]byte, error) { return decrypt(file.data, format) })}
	case "decrypt":
		return []part{attempt(func() ([]byte, error) { return decrypt(req.data, format) })}
	case "opened":
		return []part{attempt(func() ([]byte, error) { return opened(req.data, format) })}
	case "canonical":
		return []part{attempt(func() ([]byte, error) { return canonical(req.data, format) })}
	case "tree":
		return []part{attempt(func() ([]byte, error) { return tree(req.data, format) })}
	case "print":
		return []part{attempt(func() ([]byte, error) { return print(req.data, format) })}
	case "godotenv":
		return []part{attempt(func() ([]byte, error) { return variables(req.data) })}
	case "version":
		return []part{{data: []byte(version.Version)}}
	}
	return []part{{Error: "unknown operation " + req.Op}}
}

// A panic is a refusal too; the text says that it was one.
func attempt(work func() ([]byte, error)) (result part) {
	defer func() {
		if reason := recover(); reason != nil {
			result = part{Error: fmt.Sprint("panic: ", reason)}
		}
	}()
	data, err := work()
	if err != nil {
		return part{Error: "refused: " + err.Error()}
	}
	return part{data: data}
}
