package dossier

import (
	"encoding/pem"
	"errors"
	"io"
	"slices"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// Options are what a verdict rests on besides the package.
type Options struct {
	// Trust is the trust file that was pinned apart from the package. Without one nothing can be verified.
	Trust *tlog.Trust
	// Identity opens the recipient's envelopes; without one the files are compared as they are, encrypted.
	Identity *sealing.Identity
	// Previous is a package that its recipient got before this one, or nil: the log of this one must extend that one's.
	Previous *io.SectionReader
}

// Verify reads a package and answers every check of FORMATS §12. The error is one of reading file; whatever is wrong with the package
// stands in the report.
func Verify(file io.ReaderAt, size int64, o Options) (*Report, error) {
	v := verification{Options: o}
	p, err := Read(file, size)
	if err == nil {
		v.pkg = p
		v.content = sync.OnceValue(func() evidence.Hash { return ContentDigest(p.Files) })
		err = v.run()
	}
	if f := (Finding{}); errors.As(err, &f) {
		v.found.add(0, f)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return v.report(), nil
}

// verification is one run of Verify.
type verification struct {
	Options
	pkg     *Package // nil if it could not be read
	history *History // nil if nothing could be replayed
	items   []item
	opening bool // the items are opened with the identity
	found   findings
	// earlier is the state of the log that an earlier package showed, or nil; oneHistory says that all states named here are proved to
	// be of one.
	earlier    *tlog.Checkpoint
	oneHistory bool
	content    func() evidence.Hash // the content digest (FORMATS §11)
	until      evidence.Time        // the latest until of a withheld step
}

// run makes the checks. It stops early only where nothing is left to look at.
func (v *verification) run() error {
	err := v.pkg.checkFiles()
	if err == nil {
		err = v.checkSignerFiles()
	}
	if err != nil {
		f := Finding{}
		if !errors.As(err, &f) {
			return err
		}
		v.found.add(0, f)
	}
	if v.Trust == nil {
		return nil
	}
	if v.pkg.Vault != v.Trust.Vault() {
		return refuse(ReasonOtherVault, "", nil)
	}
	x, misnamed, err := v.pkg.excerpt()
	if err != nil {
		return err
	}
	history, list := Replay(*v.Trust, x)
	v.history = history
	for i, f := range list {
		v.found.add(i, f)
	}
	for _, c := range history.chains {
		for seq, r := range c.records {
			if r.until != 0 {
				v.until = max(v.until, r.until)
				v.found.add(c.at, Finding{Check: CheckRules, Result: NotChecked, Reason: ReasonWithheld, Stream: c.ID, Seq: int64(seq)})
			}
		}
	}
	if misnamed != "" && !v.found.failed(CheckChain) {
		v.found.add(0, refuse(ReasonFileName, misnamed, nil))
	}
	if s := history.Heads(); s != nil && s.Covers != v.pkg.Covers {
		v.found.add(0, refuse(ReasonCovers, "", nil))
	}
	if !v.pkg.Has("log/checkpoint") {
		v.found.add(0, Finding{Check: CheckCheckpoint, Result: NotChecked, Reason: ReasonCheckpointMissing, Seq: -1})
	}
	if err := v.checkPrevious(); err != nil {
		return err
	}
	for _, id := range v.pkg.Items {
		v.items = append(v.items, gather(history, v.pkg, id))
	}
	v.checkDistinct()
	v.checkContent()
	return nil
}

// checkSignerFiles: a stock tool takes the key from the file that bears its digest.
func (v *verification) checkSignerFiles() error {
	for _, f := range v.pkg.under("trust/signers/") {
		data, err := v.pkg.read(f.Path, maxSignerFile)
		if err != nil && f.Size <= maxSignerFile {
			return err
		}
		block, _ := pem.Decode(data)
		if block == nil || signerFile(block.Bytes).Listed != f {
			return refuse(ReasonSignerFile, f.Path, nil)
		}
	}
	return nil
}

const maxSignerFile = 4 << 10

// result is the answer to one check, with what stands behind it.
func (v *verification) result(c Check) (Result, Finding) {
	list := v.found.sorted()
	for _, wanted := range []Result{Fail, NotChecked} {
		if i := slices.IndexFunc(list, func(f Finding) bool { return f.Check == c && f.Result == wanted }); i >= 0 {
			return wanted, list[i]
		}
	}
	answer := func(r Result, reason string) (Result, Finding) {
		return r, Finding{Check: c, Result: r, Reason: reason, Seq: -1}
	}
	switch {
	case c == CheckPackage:
		return answer(Pass, "")
	case v.pkg != nil && v.Trust == nil:
		return answer(NotChecked, ReasonTrustMissing)
	case v.history == nil:
		return answer(NotChecked, ReasonNotReached)
	}
	if i := slices.Index(eachEvent, c); i >= 0 && !v.history.allRead() && v.found.failed(eachEvent[:i]...) {
		return answer(NotChecked, ReasonNotReached)
	}
	switch c {
	case CheckWitnesses:
		if !v.Trust.RequiresWitnesses() {
			return answer(NotRequired, ReasonNoWitness)
		}
		if !v.history.allRead() {
			return answer(NotChecked, ReasonNotReached)
		}
	case CheckTime:
		if !v.Trust.RequiresTimestamps() && !v.Trust.RequiresWitnesses() {
			return answer(NotRequired, ReasonNoAuthority)
		}
		if !v.history.allRead() || v.found.any(CheckWitnesses) {
			return answer(NotChecked, ReasonNotReached)
		}
	case CheckAudit:
		if !v.Trust.RequiresAuditors() {
			return answer(NotRequired, ReasonNoAuditor)
		}
		if v.found.failed(CheckWitnesses, CheckCheckpoint) || !v.pkg.Has("log/checkpoint") {
			return answer(NotChecked, ReasonNotReached)
		}
	case CheckChain, CheckComplete:
		if !v.history.allRead() {
			return answer(NotChecked, ReasonNotReached)
		}
	case CheckRules:
		if !v.history.allJudged() {
			return answer(NotChecked, ReasonNotReached)
		}
	case CheckContent:
		if v.Identity == nil {
			return answer(NotRequired, ReasonNoIdentity)
		}
		if !v.opening {
			return answer(NotChecked, ReasonNotReached)
		}
	}
	return answer(Pass, "")
}

// eachEvent are the checks of an event by itself, in the order in which they are made: the first that fails is the last.
var eachEvent = []Check{CheckPackage, CheckSignatures, CheckCheckpoint, CheckInclusion}

// allRead reports whether every event handed over verified by itself.
func (h *History) allRead() bool {
	return !slices.ContainsFunc(h.chains, func(c *chain) bool {
		return slices.ContainsFunc(c.records, func(r record) bool { return !r.read })
	})
}

// allJudged reports whether the law was applied to every event.
func (h *History) allJudged() bool {
	return h.allRead() && !slices.ContainsFunc(h.chains, func(c *chain) bool { return c.lost || c.next != c.first+int64(len(c.records)) })
}
