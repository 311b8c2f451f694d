package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/words"
)

// app is one run of the program: whose folder it works in and how it talks.
type app struct {
	home           string
	passphraseFile string
	card           bool // keys from a card instead of a folder
	json           bool
	language       string        // asked for; the locale's otherwise
	wait           time.Duration // for the vault; 0 is without end

	in       io.Reader
	out, err io.Writer       // results; everything that is said on the way
	stopped  <-chan struct{} // closed when the person stops the program

	began      bool          // a command was typed as it must be, and runs
	hers       bool          // one that the person concerned reads: see hers
	lines      *bufio.Reader // of in
	passphrase string        // once known
}

// folder is where the person's keys and documents lie.
func (a *app) folder() (string, error) {
	if a.home != "" {
		return a.home, nil
	}
	if home := os.Getenv("STRONGROOM_HOME"); home != "" {
		return home, nil
	}
	if base := os.Getenv("XDG_DATA_HOME"); base != "" {
		return filepath.Join(base, "strongroom"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "share", "strongroom"), nil
}

// terminal returns the file descriptor of f if a person sits there.
func terminal(f any) (int, bool) {
	file, ok := f.(*os.File)
	if !ok {
		return 0, false
	}
	fd := int(file.Fd())
	return fd, term.IsTerminal(fd)
}

// words are those in which this run speaks: the person's in what she and her advocate read, otherwise English. What programs read never
// changes with the language.
func (a *app) words() *words.Language {
	if a.json || !a.hers {
		return words.English()
	}
	return a.chosen()
}

// chosen is the language that was asked for, or else that of the locale (POSIX).
func (a *app) chosen() *words.Language {
	return words.For(cmp.Or(a.language, os.Getenv("LC_ALL"), os.Getenv("LC_MESSAGES"), os.Getenv("LANG")))
}

// paper is the language of pages that are handed on: that of --language, which must be one there is, or else the locale's.
func (a *app) paper() (dossier.Language, error) {
	tag := a.chosen().Tag()
	if asked, _, _ := strings.Cut(strings.NewReplacer("_", "-", ".", "-").Replace(a.language), "-"); asked != "" && !strings.EqualFold(asked, tag) {
		return dossier.English, usage("pages are not in that language; --language is one of " + strings.Join(dossier.Languages(), ", "))
	}
	return dossier.ParseLanguage(tag)
}

// say writes what is not the result: questions, consequences, warnings.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.err, format, args...) }

// ask asks for one line.
func (a *app) ask(question string) (string, error) {
	a.say("%s ", question)
	if a.lines == nil {
		a.lines = bufio.NewReader(io.LimitReader(a.in, 64<<10))
	}
	line, err := a.await(func() (string, error) { return a.lines.ReadString('\n') })
	if _, ok := terminal(a.in); !ok || err != nil {
		a.say("\n") // the answer came from a pipe and is not seen, or there is none
	}
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	if errors.Is(err, io.EOF) {
		return "", decline("no_answer")
	}
	return strings.TrimSpace(line), err
}

// typed asks for a word that a person types on purpose, in her language or in English. Anything else stops.
func (a *app) typed(word string) error {
	own := a.words().Code("word", word)
	answer, err := a.ask(a.words().Say("ask.word", "word", own))
	if err == nil && answer != word && answer != own {
		err = decline("declined")
	}
	return err
}

// secret asks for a line that is not shown.
func (a *app) secret(question string) (string, error) {
	fd, ok := terminal(a.in)
	if !ok {
		return "", decline("no_terminal")
	}
	a.say("%s ", question)
	shown, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	line, err := a.await(func() (string, error) {
		line, err := term.ReadPassword(fd)
		return string(line), err
	})
	a.say("\n")
	return line, errors.Join(err, term.Restore(fd, shown))
}

// await waits for what a person types, or for Ctrl-C.
func (a *app) await(read func() (string, error)) (string, error) {
	type typed struct {
		line string
		err  error
	}
	line := make(chan typed, 1)
	go func() {
		text, err := read()
		line <- typed{text, err}
	}()
	select {
	case t := <-line:
		return t.line, t.err
	case <-a.stopped:
		return "", context.Canceled
	}
}

// leastPassphrase is how many bytes a passphrase for new keys has at least.
const leastPassphrase = 12

// newPassphrase returns the passphrase for keys about to be made, typed twice at a terminal.
func (a *app) newPassphrase() (string, error) {
	if a.passphrase != "" {
		return a.passphrase, nil
	}
	p, fromFile, err := a.passphraseOfFile()
	if err != nil {
		return "", err
	}
	if !fromFile {
		if p, err = a.secret("Passphrase for your new keys (12 characters or more):"); err != nil {
			return "", err
		}
	}
	if len(p) < leastPassphrase {
		return "", decline("passphrase_short")
	}
	if !fromFile {
		again, err := a.secret("The same passphrase again:")
		if err != nil {
			return "", err
		}
		if again != p {
			return "", decline("passphrase_differs")
		}
	}
	a.passphrase = p
	return p, nil
}

// knownPassphrase returns the passphrase of keys that exist.
func (a *app) knownPassphrase() (string, error) {
	if a.passphrase != "" {
		return a.passphrase, nil
	}
	p, fromFile, err := a.passphraseOfFile()
	if err == nil && !fromFile {
		p, err = a.secret(a.words().Say("ask.passphrase"))
	}
	a.passphrase = p
	return p, err
}

func (a *app) passphraseOfFile() (passphrase string, given bool, err error) {
	name := a.passphraseFile
	if name == "" {
		name = os.Getenv("STRONGROOM_PASSPHRASE_FILE")
	}
	if name == "" {
		return "", false, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", true, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 4<<10))
	return strings.TrimRight(string(text), "\r\n"), true, err
}
