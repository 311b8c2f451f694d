//go:build js && wasm

// Command strongroom-verify, built for a browser's Worker: the same verifier behind one function, strongroomVerify. It reads the package
// piece by piece where it lies and reaches nothing else.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"runtime/debug"
	"syscall/js"
	"time"

	"strongroom.example/strongroom/internal/browser"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

func main() {
	debug.SetMemoryLimit(memory)
	var s session
	js.Global().Set("strongroomVerify", js.FuncOf(func(_ js.Value, args []js.Value) any { return s.answer(args) }))
	select {}
}

// session is what a Worker's verifier knows: what program it is, and its last report, to be said again in another language.
type session struct {
	digest evidence.Hash
	trust  *tlog.Trust
	report *dossier.Report
	time   evidence.Time
}

// Why there is no report. The page has a sentence for each.
var (
	errTrust   = errors.New("trust")   // the trust file is none
	errPackage = errors.New("package") // the file is not a ZIP archive at all
	errFile    = errors.New("file")    // a file could not be read
	errEnded   = errors.New("ended")   // the program is at its end
)

// answer takes a request and, to tell of progress, a function. A request may have:
//
//	program             the bytes of this program, whose digest the report states
//	package, previous   Blobs
//	trust               bytes
//	language, from, to  what is said of the report, and which part of its timeline
//
// It returns JSON: a verdict page (dossier.VerdictPage), or {"error": code}.
func (s *session) answer(args []js.Value) (text string) {
	defer func() {
		if fault := recover(); fault != nil {
			text = failed(errEnded)
		}
	}()
	request := args[0]
	if program := request.Get("program"); program.Truthy() {
		s.digest = digest(program)
		return "{}"
	}
	if pkg := request.Get("package"); pkg.Truthy() {
		progress := js.Undefined()
		if len(args) > 1 {
			progress = args[1]
		}
		if err := s.verify(request, pkg, progress); err != nil {
			return failed(err)
		}
	}
	if s.report == nil {
		return failed(errEnded)
	}
	language, err := dossier.ParseLanguage(request.Get("language").String())
	if err != nil {
		language = dossier.English
	}
	var b bytes.Buffer
	page := s.report.VerdictPage(dossier.Telling{Language: language, From: request.Get("from").Int(), To: request.Get("to").Int(), Trust: s.trust,
		Verifier: "strongroom-verify " + version(), Digest: s.digest, Time: s.time})
	if err := page.WriteJSON(&b); err != nil {
		return failed(errEnded)
	}
	return b.String()
}

func failed(err error) string {
	code := errEnded
	for _, known := range []error{errTrust, errPackage, errFile} {
		if errors.Is(err, known) {
			code = known
		}
	}
	b, _ := json.Marshal(map[string]string{"error": code.Error()})
	return string(b)
}

func (s *session) verify(request, pkg, progress js.Value) error {
	*s = session{digest: s.digest}
	var o dossier.Options
	if given := request.Get("trust"); given.Truthy() {
		text := make([]byte, min(given.Length(), tlog.MaxTrustSize+1))
		js.CopyBytesToGo(text, given)
		trust, err := tlog.ParseTrust(text)
		if err != nil {
			return errTrust
		}
		o.Trust = &trust
	}
	if previous := request.Get("previous"); previous.Truthy() {
		b := browser.NewBlob(previous, js.Undefined())
		o.Previous = io.NewSectionReader(b, 0, b.Size())
	}
	file := browser.NewBlob(pkg, progress)
	if !isArchive(file) {
		return errPackage
	}
	report, err := dossier.Verify(file, file.Size(), o)
	if err != nil {
		return errors.Join(errFile, err)
	}
	s.trust, s.report, s.time = o.Trust, report, evidence.At(time.Now())
	return nil
}

// isArchive reports whether a file begins as a ZIP does. One that cannot be read is told as that by who reads it next.
func isArchive(file *browser.Blob) bool {
	begin := make([]byte, 4)
	if file.Size() < int64(len(begin)) {
		return false
	}
	_, err := file.ReadAt(begin, 0)
	return err != nil || string(begin) == "PK\x03\x04"
}

// window is how many bytes of this program are copied at a time.
const window = 1 << 20

// digest of bytes that are in the browser, a piece at a time.
func digest(program js.Value) (sum evidence.Hash) {
	h, piece := sha256.New(), make([]byte, window)
	for at := 0; at < program.Length(); at += window {
		n := js.CopyBytesToGo(piece, program.Call("subarray", at, at+window))
		h.Write(piece[:n])
	}
	return evidence.Hash(h.Sum(nil))
}
