//go:build !(js && wasm)

// Command strongroom-verify checks a court package without a network, and says in plain words what it shows. It trusts nothing but the
// trust file it is given. Its verdict is its exit code: 0 verified, 1 refused, 2 incomplete or unable to say.
package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"golang.org/x/term"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

const help = `Checks a court package: that it is genuine, unchanged and complete.
Nothing is sent anywhere, and nothing in the package is believed.

  strongroom-verify --trust trust.json package.zip
  strongroom-verify --trust trust.json --identity identity.txt \
                    --extract opened package.zip

  --trust FILE     the vault's trust file. Get it from the registry, apart from
                   any package, and compare its vault number by telephone.
                   Without it, nothing can be verified.
  --identity FILE  your age key file: opens the evidence and compares it with
                   its description. Locked files ask for their passphrase.
  --previous FILE  a package that you got before from the same vault: checks
                   that the vault's log extends the one you were shown then.
  --extract DIR    after a verified result, writes the opened evidence and
                   descriptions into DIR. Nothing is ever overwritten.
  --language TAG   language of the report: ar, en, es, fr or uk. Without it, as
                   $LC_ALL, $LC_MESSAGES or $LANG say, else English. Codes in
                   brackets are the same in every language.
  --json           writes the report as JSON instead of text, for programs: the
                   same in every language.

Exit code: 0 verified, 1 refused, 2 incomplete, or the check could not be made.
`

func main() {
	debug.SetMemoryLimit(memory)
	debug.SetGCPercent(400)
	os.Exit(Run(os.Args[1:], os.Stdout, os.Stderr, askPassphrase))
}

const unable = 2

// command is the command line.
type command struct {
	trust, identity, previous, extract, language, pkg string
	json                                              bool
}

// Run is the program: it returns the exit code. ask is called once, for an identity that is locked.
func Run(args []string, stdout, stderr io.Writer, ask func() (string, error)) int {
	var c command
	flags := flag.NewFlagSet("strongroom-verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {}
	flags.StringVar(&c.trust, "trust", "", "")
	flags.StringVar(&c.identity, "identity", "", "")
	flags.StringVar(&c.previous, "previous", "", "")
	flags.StringVar(&c.extract, "extract", "", "")
	flags.StringVar(&c.language, "language", "", "")
	flags.BoolVar(&c.json, "json", false, "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, help)
		return 0
	case err != nil:
		return unable
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(stderr, "Name one package, after the options. For help: strongroom-verify --help")
		return unable
	}
	c.pkg = flags.Arg(0)
	code, err := c.run(stdout, stderr, ask)
	if err != nil {
		fmt.Fprintf(stderr, "strongroom-verify: %v\n", err)
		return unable
	}
	return code
}

func (c command) run(stdout, stderr io.Writer, ask func() (string, error)) (int, error) {
	language, err := c.speaks()
	if err != nil {
		return unable, err
	}
	if c.extract != "" && c.identity == "" {
		return unable, errors.New("--extract needs --identity: without a key nothing can be opened")
	}
	var o dossier.Options
	if c.trust != "" {
		trust, err := readTrust(c.trust)
		if err != nil {
			return unable, err
		}
		o.Trust = &trust
	}
	if c.identity != "" {
		id, err := readIdentity(c.identity, ask)
		if err != nil {
			return unable, err
		}
		o.Identity = &id
	}
	if c.previous != "" {
		previous, err := open(c.previous)
		if err != nil {
			return unable, err
		}
		defer previous.close()
		o.Previous = previous.SectionReader
	}
	pkg, err := open(c.pkg)
	if err != nil {
		return unable, err
	}
	defer pkg.close()
	report, err := dossier.Verify(pkg, pkg.Size(), o)
	if err != nil {
		return unable, err
	}
	if c.json {
		err = report.WriteJSON(stdout)
	} else {
		err = report.WriteText(stdout, dossier.Telling{Language: language, Trust: o.Trust, Verifier: "strongroom-verify " + version()})
	}
	if err != nil {
		return unable, err
	}
	if c.extract != "" {
		if err := extract(stderr, c.extract, report); err != nil {
			return unable, err
		}
	}
	return report.Verdict.ExitCode(), nil
}

// opened is a file as long as it was when it was opened.
type opened struct {
	*io.SectionReader
	close func() error
}

func open(name string) (opened, error) {
	file, err := os.Open(name)
	if err != nil {
		return opened{}, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return opened{}, err
	}
	return opened{io.NewSectionReader(file, 0, info.Size()), file.Close}, nil
}

// speaks is the report's language: that of --language, which must be one there is, or else the locale's (POSIX).
func (c command) speaks() (dossier.Language, error) {
	l, ok := dossier.LanguageOf(cmp.Or(c.language, os.Getenv("LC_ALL"), os.Getenv("LC_MESSAGES"), os.Getenv("LANG")))
	if !ok && c.language != "" {
		return l, errors.New("the report is not in that language; --language is one of " + strings.Join(dossier.Languages(), ", "))
	}
	return l, nil
}

func readTrust(name string) (tlog.Trust, error) {
	data, err := readSmall(name, tlog.MaxTrustSize)
	if err != nil {
		return tlog.Trust{}, err
	}
	trust, err := tlog.ParseTrust(data)
	if err != nil {
		return tlog.Trust{}, fmt.Errorf("this is not a trust file: %w", err)
	}
	return trust, nil
}

func readIdentity(name string, ask func() (string, error)) (sealing.Identity, error) {
	data, err := readSmall(name, 16<<10)
	if err != nil {
		return sealing.Identity{}, err
	}
	id, err := sealing.ReadIdentityFile(data, "")
	if errors.Is(err, sealing.ErrPassphrase) {
		passphrase, err := ask()
		if err != nil {
			return sealing.Identity{}, err
		}
		return sealing.ReadIdentityFile(data, passphrase)
	}
	return id, err
}

// readSmall reads a file of at most limit bytes, and one more, which its reader refuses.
func readSmall(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit+1))
}

func askPassphrase() (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return "", errors.New("the key file is locked, and there is no terminal to ask for its passphrase")
	}
	fmt.Fprint(os.Stderr, "Passphrase of the key file: ")
	defer fmt.Fprintln(os.Stderr)
	b, err := term.ReadPassword(fd)
	return string(b), err
}
