package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/trail"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Explain and check the configuration",
	}
	c.AddCommand(configCheckCommand(), configShowCommand())
	return c
}

func configShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Print a configuration with every setting, explained",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(config.Example())
			return err
		},
	}
}

func configCheckCommand() *cobra.Command {
	var p place
	var asJSON, reach bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Say what a configuration comes to, and what is wrong with it",
		Long: `Lists every setting with its value, the line it stands in or that it is the default,
and what it means; and looks whether the files are there that it names. With --reach
it also tries what is named: the database (address, TLS, the role's rights, schema,
clock), the log server's tree, the bucket, the witnesses and time-stamp authorities,
and the collector of traces. It changes nothing, and the vault may be running.

Exit code: 0 all is well, 1 something is not and was said, 2 could not look.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			checked, err := check(c, p, reach)
			if err != nil {
				return err
			}
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(checked)
			} else {
				checked.print(c.OutOrStdout())
			}
			if err == nil && !checked.OK {
				err = unwell{}
			}
			return err
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&reach, "reach", false, "try what the configuration names, too")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// unwell ends config check with exit code 1.
type unwell struct{}

func (unwell) Error() string { return "the configuration is not right" }
func (unwell) ExitCode() int { return 1 }

// checked is what config check found.
type checked struct {
	File     string           `json:"file"` // "" for none
	OK       bool             `json:"ok"`
	Settings []setting        `json:"settings"`
	Wrong    []wrong          `json:"wrong"`
	Reached  []daemon.Reached `json:"reached"`
}

type setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Line    int    `json:"line"` // 0: it is the default
	Meaning string `json:"meaning"`
}

type wrong struct {
	Line  int    `json:"line"` // 0: the file as a whole
	Field string `json:"field"`
	What  string `json:"what"`
}

func check(c *cobra.Command, p place, reach bool) (checked, error) {
	found := checked{File: p.config, Settings: []setting{}, Wrong: []wrong{}, Reached: []daemon.Reached{}}
	if found.File == "" {
		found.File = filepath.Join(p.data, "strongroomd.yaml")
		if _, err := os.Stat(found.File); errors.Is(err, os.ErrNotExist) {
			found.File = ""
		}
	}
	values, err := config.Values(found.File)
	if e := (*config.Error)(nil); errors.As(err, &e) {
		found.Wrong = append(found.Wrong, wrong{e.Line, e.Field, e.What})
		return found, nil
	}
	if err != nil {
		return found, err
	}
	for _, v := range values {
		found.Settings = append(found.Settings, setting{v.Name, shown(v.Value), v.Line, v.Meaning})
		if what := lookAt(v); what != "" {
			found.Wrong = append(found.Wrong, wrong{v.Line, v.Name, what})
		}
	}
	if what := certificateEnds(values, time.Now()); what != "" {
		found.Wrong = append(found.Wrong, wrong{Field: "serve.cert_file", What: what})
	}
	found.OK = len(found.Wrong) == 0
	if !reach {
		return found, nil
	}
	o := p.options()
	o.Logger = slog.New(slog.DiscardHandler) // what matters is said
	err = daemon.Reach(c.Context(), p.data, o, func(r daemon.Reached) {
		found.Reached = append(found.Reached, r)
		found.OK = found.OK && r.OK
	})
	return found, err
}

// shown is a value as it is printed: of an address without who asks and without its query, which may hold a key.
func shown(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.User == nil && u.RawQuery == "" {
		return value
	}
	u.User, u.RawQuery = nil, ""
	return u.String() + " (and more, not shown)"
}

// lookAt says what is wrong with the file that a setting names, if it names one.
func lookAt(v config.Value) string {
	if !v.File || v.Value == "" {
		return ""
	}
	f, err := os.Open(v.Value)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "names a file that is not there"
	case err != nil:
		return "names a file that cannot be read"
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil || !info.Mode().IsRegular():
		return "names something that is no file"
	case v.Secret && info.Mode().Perm()&0o007 != 0:
		return "names a secret that everybody on this machine can read: chmod o= FILE"
	}
	return ""
}

// certificateEnds says what is wrong with the certificate that is shown.
func certificateEnds(values []config.Value, now time.Time) string {
	files := make(map[string]string)
	for _, v := range values {
		files[v.Name] = v.Value
	}
	cert, key := files["serve.cert_file"], files["serve.key_file"]
	if cert == "" || key == "" {
		return ""
	}
	if _, err := os.Stat(cert); err != nil { // that was said
		return ""
	}
	if _, err := os.Stat(key); err != nil {
		return ""
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	switch {
	case err != nil:
		return "and key_file are not a certificate and its key (PEM)"
	case now.After(pair.Leaf.NotAfter):
		return "has ended on " + pair.Leaf.NotAfter.UTC().Format(time.DateOnly)
	}
	return ""
}

func (f checked) print(w io.Writer) {
	name := "none: every setting is the default"
	if f.File != "" {
		name = f.File
	}
	fmt.Fprintf(w, "File       %s\n\n", name)
	for _, s := range f.Settings {
		value, where := s.Value, "default"
		switch {
		case s.Line > 0:
			where = fmt.Sprintf("line %d", s.Line)
		case value == "":
			value, where = "not set", ""
		}
		if where != "" {
			where = "  (" + where + ")"
		}
		fmt.Fprintf(w, "%-34s %s%s\n    %s\n", s.Name, value, where, s.Meaning)
	}
	if len(f.Settings) > 0 {
		fmt.Fprintln(w)
	}
	for _, r := range f.Reached {
		word := "Reached"
		if !r.OK {
			word = "Fails"
		}
		fmt.Fprintf(w, "%-10s %s: %s\n", word, r.Name, r.Says)
	}
	for _, e := range f.Wrong {
		at := ""
		if e.Line > 0 {
			at = fmt.Sprintf("line %d: ", e.Line)
		}
		fmt.Fprintf(w, "Wrong      %s\n", at+strings.TrimSpace(e.Field+" "+e.What))
	}
	if f.OK {
		fmt.Fprintln(w, "Right      strongroomd can be started with it")
	}
}

// logger is what a server says of itself, as its configuration wants it.
func logger(w io.Writer, c config.Logging) *slog.Logger {
	o := &slog.HandlerOptions{}
	var level slog.Level
	if c.Level != "" && level.UnmarshalText([]byte(c.Level)) == nil {
		o.Level = level
	}
	if c.Format == "text" {
		return trail.Logger(slog.New(slog.NewTextHandler(w, o)))
	}
	return trail.Logger(slog.New(slog.NewJSONHandler(w, o)))
}
