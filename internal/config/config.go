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
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is the configuration of one server.
type Config struct {
	// Serve says where and how people are served.
	Serve Serve `yaml:"serve"`
	// Objects says where ciphertext is kept. Without it: in the vault's folder.
	Objects Objects `yaml:"objects"`
	// Records says where events, states and what belongs to them are kept. Without it: in the vault's folder.
	Records Records `yaml:"records"`
	// Log says where the transparency log's tree is kept. Without it: in the vault's folder.
	Log Log `yaml:"log"`
	// Witnesses says how the witnesses that the trust file names are asked.
	Witnesses Witnesses `yaml:"witnesses"`
	// Timestamps says which RFC 3161 time-stamp authorities are asked, and for what.
	Timestamps Timestamps `yaml:"timestamps"`
	// Metrics says where monitoring reads numbers. Without it: nowhere.
	Metrics *Metrics `yaml:"metrics"`
	// Traces says where the way of single requests through API, records, log and objects is told. Without it: nowhere.
	Traces *Traces `yaml:"traces"`
	// Logging says what is written to standard error: a line for each request and for each thing that an operator should know.
	Logging Logging `yaml:"logging"`
}

// Witnesses is how witnesses are asked. Who they are stands in the trust file.
type Witnesses struct {
	// CAFile holds certificates (PEM) that a witness's may come from, besides those that the system trusts. Optional.
	CAFile string `yaml:"ca_file" example:"/etc/strongroom/witness-ca.pem"`
}

// Timestamps is who is asked for RFC 3161 time stamps. A stamp counts only if it leads to a root that the trust file names: those are given
// to init (--timestamp-root), which asks every authority once.
//
// Checkpoints are stamped always. The signatures of events are, too, of the classes in events: actor, case, consent, grant, hold, item,
// retention, vault, which is how the names of kinds begin. Without events it is all of them; an empty list is none. A publication of
// heads is never stamped by itself: the checkpoint that holds it is.
type Timestamps struct {
	// Authorities are asked side by side, and none waits for another. At most 8.
	Authorities []Authority `yaml:"authorities"`
	// Events are the classes of events whose signatures are stamped.
	Events *[]string `yaml:"events" default:"[actor, case, consent, grant, hold, item, retention, vault]"`
}

// Authority is one RFC 3161 authority.
type Authority struct {
	// Name is what files and messages call it: letters a to z, digits and hyphens, at most 32, each name once.
	Name string `yaml:"name" example:"first"`
	// URL is where it answers: https, or http on this machine.
	URL string `yaml:"url" example:"https://time.example/tsr"`
	// CAFile holds the certificates (PEM) that the one of its web address must come from, instead of the system's. Optional.
	CAFile string `yaml:"ca_file" example:"/etc/strongroom/time-ca.pem"`
	// Policy is the policy (a dotted OID) that its stamps must be under. Optional.
	Policy string `yaml:"policy" example:"1.2.3.4"`
	// Timeout is how long an answer may take, at most 10s, which it is without it.
	Timeout time.Duration `yaml:"timeout" default:"10s"`
	// CRL is the address (http or https) of the revocation list that tells of its certificate. It is fetched once a day. Optional.
	CRL string `yaml:"crl" example:"http://time.example/root.crl"`
}

// Objects is where ciphertext is kept.
type Objects struct {
	// S3 is a bucket with versioning and Object Lock, and without a default retention. A vault keeps the store it was made with.
	S3 *S3 `yaml:"s3"`
}

// S3 is a bucket with versioning and Object Lock, and without a default retention.
//
// Without credentials_file the credentials come from the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN), from
// ~/.aws/credentials, or from the role of the machine or container.
type S3 struct {
	// Endpoint is the address of the service: https://host or https://host:port.
	Endpoint string `yaml:"endpoint" example:"https://s3.example:9000"`
	// Region is the one of the bucket. Services that know no regions take us-east-1.
	Region string `yaml:"region" example:"eu-central-1"`
	// Bucket is the bucket's name.
	Bucket string `yaml:"bucket" example:"evidence"`
	// Prefix comes before every key and ends in "/". Two vaults in one bucket need two. Optional.
	Prefix string `yaml:"prefix" example:"strongroom/"`
	// CAFile holds the certificates (PEM) that the service's must come from, instead of the system's. Optional.
	CAFile string `yaml:"ca_file" example:"/etc/strongroom/s3-ca.pem"`
	// CredentialsFile has the form of ~/.aws/credentials; its profile "default" counts. Optional.
	CredentialsFile string `yaml:"credentials_file" secret:"yes" example:"/run/secrets/s3"`
	// Retention is the mode in which files are locked until the law lets them go: compliance, which nobody can end early, or governance,
	// which an administrator of the service can. A file keeps the mode of its first lock.
	Retention string `yaml:"retention" default:"compliance"`
	// Direct is the address (https://host or https://host:port) at which people's own programs reach the same service: then they fetch
	// files there, each part at an address of its own that lives for a minute. Without it everything passes through the vault. Optional.
	Direct string `yaml:"direct" example:"https://s3.example:9000"`
}

// Records is where records are kept. A vault keeps the records it was made with.
type Records struct {
	// PostgreSQL is a database that strongroomd migrate made ready.
	PostgreSQL *PostgreSQL `yaml:"postgresql"`
}

// PostgreSQL is a database of one vault.
type PostgreSQL struct {
	// URLFile is a file that holds the address, with the password, of the role that may use the records and not change their schema:
	// postgres://role:password@host:5432/database?sslmode=verify-full&sslrootcert=/path. To another machine it must be verify-full.
	URLFile string `yaml:"url_file" secret:"yes" example:"/run/secrets/records.url"`
}

// Log is where the log's tree is kept. A vault keeps the log it was made with, until strongroomd log move.
type Log struct {
	// Trillian is a trillian_log_server with a signer, spoken to with TLS. Which of its trees is the vault's stands in the vault's folder.
	Trillian *Trillian `yaml:"trillian"`
}

// Trillian is a Trillian log server. It asks nobody who they are: only strongroomd may reach it.
type Trillian struct {
	// Address is where the log server answers: host:port.
	Address string `yaml:"address" example:"log.internal:8090"`
	// CAFile holds the certificates (PEM) that the server's must come from, instead of the system's. Optional.
	CAFile string `yaml:"ca_file" example:"/etc/strongroom/log-ca.pem"`
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
	files := []*string{&c.Serve.CertFile, &c.Serve.KeyFile, &c.Witnesses.CAFile}
	if t := c.Traces; t != nil {
		files = append(files, &t.CAFile)
	}
	for i := range c.Timestamps.Authorities {
		files = append(files, &c.Timestamps.Authorities[i].CAFile)
	}
	if s := c.Objects.S3; s != nil {
		files = append(files, &s.CAFile, &s.CredentialsFile)
	}
	if p := c.Records.PostgreSQL; p != nil {
		files = append(files, &p.URLFile)
	}
	if t := c.Log.Trillian; t != nil {
		files = append(files, &t.CAFile)
	}
	for _, name := range files {
		if *name != "" && !filepath.IsAbs(*name) {
			*name = filepath.Join(filepath.Dir(path), *name)
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
		} else if n.Kind == yaml.SequenceNode {
			field = fmt.Sprintf("%s[%d]", path, i)
			if child.Kind == yaml.MappingNode {
				fields[field] = child.Line
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
	unknown := what == "has a key that is not known"
	for field, line := range fields {
		if line == e.Line && len(field) > len(e.Field) && (unknown || nameable(field)) {
			e.Field = field
		}
	}
	if unknown { // the key may be anything: its parent is named
		e.Field = e.Field[:max(0, strings.LastIndexByte(e.Field, '.'))]
	}
	if !nameable(e.Field) {
		e.Field = ""
	}
	return e
}

var index = regexp.MustCompile(`\[[0-9]+\]`)

// nameable reports whether errors may name a field.
func nameable(field string) bool { return known[index.ReplaceAllString(field, "")] }

// known are the fields that errors may name: what else stands in a file is not repeated.
var known = fieldsOf(reflect.TypeFor[Config](), "")

func fieldsOf(t reflect.Type, path string) map[string]bool {
	fields := make(map[string]bool)
	for i := range t.NumField() {
		f := t.Field(i)
		field := strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), ".")
		fields[field] = true
		of := f.Type
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
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
	checks := []func(func(field, what string) error) error{c.Serve.check, c.Timestamps.check, c.Logging.check}
	if c.Metrics != nil {
		checks = append(checks, c.Metrics.check)
	}
	if c.Traces != nil {
		checks = append(checks, c.Traces.check)
	}
	for _, check := range checks {
		if err := check(wrong); err != nil {
			return err
		}
	}
	if p := c.Records.PostgreSQL; p != nil && p.URLFile == "" {
		return wrong("records.postgresql.url_file", "is missing")
	}
	if t := c.Log.Trillian; t != nil && !hostAndPort(t.Address) {
		return wrong("log.trillian.address", "must be host:port")
	}
	if s := c.Objects.S3; s != nil {
		return s.check(wrong)
	}
	return nil
}

// hostAndPort reports whether a text is both: a name or an address, and a number.
func hostAndPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || net.JoinHostPort(host, port) != text || strings.ContainsAny(host, "/@ ") {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// overTLS reports whether an address names a host, with its port, and nothing else.
func overTLS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.Scheme+"://"+u.Host == address
}

func (s *S3) check(wrong func(field, what string) error) error {
	switch {
	case !overTLS(s.Endpoint):
		return wrong("objects.s3.endpoint", "must be https://host or https://host:port")
	case s.Direct != "" && !overTLS(s.Direct):
		return wrong("objects.s3.direct", "must be https://host or https://host:port")
	case s.Retention != "" && s.Retention != "compliance" && s.Retention != "governance":
		return wrong("objects.s3.retention", "must be compliance or governance")
	case s.Region == "":
		return wrong("objects.s3.region", "is missing")
	case s.Bucket == "":
		return wrong("objects.s3.bucket", "is missing")
	case s.Prefix != "" && (!strings.HasSuffix(s.Prefix, "/") || strings.HasPrefix(s.Prefix, "/")):
		return wrong("objects.s3.prefix", `must end in "/" and not begin with it`)
	}
	return nil
}
