// Package config reads the server's configuration file.
//
// The file is YAML; the comments of [Config] and of the types in it are its manual. What is not in it has its default, and no file at all
// is a whole vault in one folder. A key that is not known, given twice or not of its form is an error, which names the field and the line
// and never what stood there. Secrets are never in the file: where one is needed, the file names the file that holds it.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is the configuration of one server.
type Config struct {
	// Objects says where ciphertext is kept. Without it: in the vault's folder.
	Objects Objects `yaml:"objects"`
}

// Objects is where ciphertext is kept.
type Objects struct {
	// S3 is a bucket. A vault keeps the store it was made with.
	S3 *S3 `yaml:"s3"`
}

// S3 is a bucket with versioning and Object Lock, and without a default retention.
//
// Without credentials_file the credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), from
// ~/.aws/credentials, or from the role of the machine or container.
type S3 struct {
	// Endpoint is the address of the service: https://host or https://host:port.
	Endpoint string `yaml:"endpoint"`
	// Region is the one of the bucket. Services that know no regions take us-east-1.
	Region string `yaml:"region"`
	// Bucket is the bucket's name.
	Bucket string `yaml:"bucket"`
	// Prefix comes before every key and ends in "/". Two vaults in one bucket need two. Optional.
	Prefix string `yaml:"prefix"`
	// CAFile holds the certificates (PEM) that the service's must come from, instead of the system's. Optional.
	CAFile string `yaml:"ca_file"`
	// CredentialsFile has the form of ~/.aws/credentials; its profile "default" counts. Optional.
	CredentialsFile string `yaml:"credentials_file"`
}

// maxSize is the length of the longest file that is read, in bytes.
const maxSize = 64 << 10

// Error is what is wrong with a configuration: where, and what would be right.
type Error struct {
	Line  int    // from 1; 0 is the file as a whole
	Field string // with dots; "" is the file as a whole
	What  string
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("configuration: ")
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Field != "" {
		b.WriteString(e.Field + " ")
	}
	b.WriteString(e.What)
	return b.String()
}

// Read reads a file. A relative file name in it counts from the folder it is in.
func Read(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return Config{}, fmt.Errorf("configuration: %w", err)
	}
	c, err := Parse(text)
	if s := c.Objects.S3; s != nil && err == nil {
		for _, name := range []*string{&s.CAFile, &s.CredentialsFile} {
			if *name != "" && !filepath.IsAbs(*name) {
				*name = filepath.Join(filepath.Dir(path), *name)
			}
		}
	}
	return c, err
}

// Parse reads the text of a file. Its errors are of type [*Error].
func Parse(text []byte) (Config, error) {
	if len(text) > maxSize {
		return Config{}, &Error{What: "is longer than 64 KiB"}
	}
	var c Config
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	err := decoder.Decode(&c)
	if err == io.EOF {
		return Config{}, nil // nothing but comments
	}
	if err == nil && decoder.Decode(new(yaml.Node)) != io.EOF {
		return Config{}, &Error{What: "has more than one document"}
	}
	var root yaml.Node
	if err == nil {
		err = yaml.Unmarshal(text, &root)
	} else if yaml.Unmarshal(text, &root) != nil {
		root = yaml.Node{}
	}
	fields := make(map[string]int)
	if plain := lines(&root, "", fields); err == nil && !plain {
		return Config{}, &Error{What: "uses anchors, aliases or tags"}
	}
	if err != nil {
		return Config{}, explain(err, fields)
	}
	return c, c.check(fields)
}

// lines notes the line of every field, and reports whether the text is plain: no anchors, no aliases, no tags of its own.
func lines(n *yaml.Node, path string, fields map[string]int) bool {
	plain := n.Kind != yaml.AliasNode && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0
	for i, child := range n.Content {
		field := path
		if n.Kind == yaml.MappingNode {
			key := n.Content[i&^1]
			field = strings.TrimPrefix(path+"."+key.Value, ".")
			if i%2 == 0 {
				fields[field] = key.Line
			}
		}
		plain = lines(child, field, fields) && plain
	}
	return plain
}

var lineOf = regexp.MustCompile(`line ([0-9]+)`)

// explain says what the YAML library found without what it quotes.
func explain(err error, fields map[string]int) error {
	text, what := err.Error(), "is not YAML"
	if wrong := (*yaml.TypeError)(nil); errors.As(err, &wrong) && len(wrong.Errors) > 0 {
		text = wrong.Errors[0]
		switch {
		case strings.Contains(text, "not found in type"):
			what = "has a key that is not known"
		case strings.Contains(text, "already defined"):
			what = "is given twice"
		default:
			what = "is not of its form"
		}
	}
	e := &Error{What: what}
	if found := lineOf.FindStringSubmatch(text); found != nil {
		e.Line, _ = strconv.Atoi(found[1])
	}
	for field, line := range fields {
		if line == e.Line && len(field) > len(e.Field) {
			e.Field = field
		}
	}
	if what == "has a key that is not known" { // the key may be anything: its parent is named
		e.Field = e.Field[:max(0, strings.LastIndexByte(e.Field, '.'))]
	}
	if !known[e.Field] {
		e.Field = ""
	}
	return e
}

// known are the fields that errors may name: what else stands in a file is not repeated.
var known = fieldsOf(reflect.TypeFor[Config](), "")

func fieldsOf(t reflect.Type, path string) map[string]bool {
	fields := make(map[string]bool)
	for i := range t.NumField() {
		f := t.Field(i)
		field := strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), ".")
		fields[field] = true
		of := f.Type
		if of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() == reflect.Struct {
			maps.Copy(fields, fieldsOf(of, field))
		}
	}
	return fields
}

func (c Config) check(fields map[string]int) error {
	wrong := func(field, what string) error {
		line := fields[field]
		for at := field; line == 0 && at != ""; line = fields[at] {
			at = at[:max(0, strings.LastIndexByte(at, '.'))]
		}
		return &Error{Line: line, Field: field, What: what}
	}
	s := c.Objects.S3
	if s == nil {
		return nil
	}
	endpoint, err := url.Parse(s.Endpoint)
	switch {
	case err != nil || endpoint.Scheme != "https" || endpoint.Host == "" || endpoint.Scheme+"://"+endpoint.Host != s.Endpoint:
		return wrong("objects.s3.endpoint", "must be https://host or https://host:port")
	case s.Region == "":
		return wrong("objects.s3.region", "is missing")
	case s.Bucket == "":
		return wrong("objects.s3.bucket", "is missing")
	case s.Prefix != "" && (!strings.HasSuffix(s.Prefix, "/") || strings.HasPrefix(s.Prefix, "/")):
		return wrong("objects.s3.prefix", `must end in "/" and not begin with it`)
	}
	return nil
}
