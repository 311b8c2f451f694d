package main

import (
	"archive/zip"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// proposal is that a court sees an item for 30 days.
func (d *demo) proposal(item evidence.ItemID, to evidence.ActorID) client.Proposal {
	now := time.Now()
	return client.Proposal{
		Item: item, Recipient: to, Actions: []evidence.Action{evidence.View, evidence.Download}, Purpose: evidence.ForAdjudication,
		Jurisdiction: courtCountry, LegalBasis: "mla_request", NotBefore: evidence.At(now), Expires: evidence.At(now.AddDate(0, 0, 30)),
		Reason: sampleMark + ": request 2026/31",
	}
}

// shareEvidence has one keyholder propose a share and another decide it.
func (d *demo) shareEvidence(ctx context.Context) error {
	item := d.sharedItem()
	grant, proposed, err := d.custodian1.Propose(ctx, d.proposal(item.id, d.court.Actor()))
	if err != nil {
		return err
	}
	d.inCase.grant = grant
	d.entry(proposed.Index(), "The first custodian proposes to share exhibit 1 with the court for 30 days.")
	switch _, err := d.custodian1.Approve(ctx, item.id, grant); {
	case err == nil:
		return errors.New("a proposer approved their own share")
	case evidence.ReasonOf(err) != evidence.ReasonSecondPerson:
		return fmt.Errorf("a proposer's own approval was refused for another reason: %w", err)
	}
	if err := d.force(ctx, d.custodian1, item.id, grant); err != nil {
		return err
	}
	d.refused("The first custodian tries to approve it too. Their program refuses: %s", inEnglish(evidence.ReasonSecondPerson).what)
	d.refused("They sign the approval with a changed program. The vault refuses as well, for the same reason.")
	approved, err := d.custodian2.Approve(ctx, item.id, grant)
	if err != nil {
		return err
	}
	d.entry(approved.Index(), "The second custodian approves the same terms.")
	written, err := d.custodian2.WriteEnvelope(ctx, item.id, grant, nil)
	if err != nil {
		return err
	}
	steps, err := d.custodian2.History(ctx, evidence.ItemOf(item.id))
	if err != nil {
		return err
	}
	access, err := before(steps, evidence.ItemOpened, written.Index())
	if err != nil {
		return err
	}
	if access < approved.Index() {
		return errors.New("the court's key was written without an opening of its own")
	}
	d.entry(access, "They open the item to get at its key. That is recorded as an opening.")
	d.entry(written.Index(), "They write a key for the court. The sealed file stays as it is.")
	return nil
}

func (d *demo) packagePath() string { return filepath.Join(d.dir, "court", "package.zip") }

// serveCourt lets the court use the share: recorded first, then downloaded, acknowledged, packaged.
func (d *demo) serveCourt(ctx context.Context) error {
	item := d.sharedItem()
	shares, err := d.court.Grants(ctx)
	if err != nil {
		return err
	}
	if len(shares) != 1 || shares[0].ID != string(d.inCase.grant) || shares[0].Item != string(item.id) {
		return errors.New("the court does not see exactly its share")
	}
	progress, done := d.progress(item.demoFile)
	defer done()
	var got *client.Exported
	err = client.SaveAs(d.packagePath(), func(w io.Writer) (err error) {
		got, err = d.court.Export(ctx, client.Export{Item: item.id, Grant: d.inCase.grant, Progress: progress}, w)
		return err
	})
	done()
	if err != nil {
		return err
	}
	if got.Acknowledged == nil || got.Acknowledged.Index() < got.Access.Index() || got.Receipt.Index() < got.Acknowledged.Index() {
		return errors.New("the court's acts are not in their order")
	}
	d.entry(got.Access.Index(), "The court uses its share. This is recorded first; then the file goes to it, still sealed.")
	d.entry(got.Acknowledged.Index(), "The court signs that it received exactly what was deposited.")
	d.entry(got.Receipt.Index(), "The court signs what is in its package.")
	info, err := os.Stat(d.packagePath())
	if err != nil {
		return err
	}
	d.checked("The package is written: %s, with the proofs of every step.", bytesOf(info.Size()))
	return nil
}

// checkPackage runs the court's verifier, opens the package with the court's key, and shows that an altered copy is refused.
func (d *demo) checkPackage(ctx context.Context) error {
	report, err := d.verifier(ctx, d.packagePath(), dossier.Verified)
	if err != nil {
		return err
	}
	passed := 0
	for _, c := range report.Checks {
		if c.Result == dossier.Pass {
			passed++
		}
	}
	if len(report.Items) != 1 || report.Items[0].ID != d.sharedItem().id || !report.Items[0].Opened {
		return errors.New("strongroom-verify did not open the shared item")
	}
	d.report = report
	d.checked("strongroom-verify says: verified, %d checks passed. It was given the package, the court's trust file and the court's key.", passed)
	for _, c := range report.Checks {
		if c.Result == dossier.NotRequired {
			d.note("%s", c.Detail)
		}
	}
	if err := d.tellWitnesses(report); err != nil {
		return err
	}
	size, err := d.openPackage(ctx)
	if err != nil {
		return err
	}
	d.checked("The court's key opens the evidence in the package. It is the file given, byte for byte: %s.", bytesOf(size))
	return d.refuseAltered(ctx)
}

// verifier runs strongroom-verify and demands a verdict, in its words and in its exit code.
func (d *demo) verifier(ctx context.Context, path string, want dossier.Verdict) (*dossier.Report, error) {
	court := filepath.Join(d.dir, "court")
	out, code, err := d.run(ctx, "strongroom-verify", "verifier", "--json",
		"--trust", filepath.Join(court, "trust.json"), "--identity", filepath.Join(court, "identity.txt"), path)
	if err != nil {
		return nil, err
	}
	var r dossier.Report
	if err := json.Unmarshal(out, &r); err != nil {
		return nil, fmt.Errorf("strongroom-verify: %w", err)
	}
	if r.Verdict != want || code != want.ExitCode() {
		why := ""
		for _, c := range r.Checks {
			if c.Result == dossier.Fail || c.Result == dossier.NotChecked {
				why += fmt.Sprintf("\n%s: %s (%s)", c.Name, c.Detail, c.Reason)
			}
		}
		return nil, fmt.Errorf("strongroom-verify says %q with exit code %d where it must say %q%s", r.Verdict, code, want, why)
	}
	return &r, nil
}

// openPackage opens the evidence as the court does, with nothing but the package and its key, and compares it with the file given.
func (d *demo) openPackage(ctx context.Context) (int64, error) {
	item := d.sharedItem()
	view, err := d.court.Look(ctx, evidence.ItemOf(item.id))
	if err != nil {
		return 0, err
	}
	state, ok := view.State(evidence.ItemOf(item.id)).(*evidence.ItemState)
	if !ok {
		return 0, errors.New("the court cannot see the item")
	}
	pack, err := zip.OpenReader(d.packagePath())
	if err != nil {
		return 0, err
	}
	defer pack.Close()
	envelope, err := pack.Open(dossier.ItemPath(item.id, "key.age"))
	if err != nil {
		return 0, err
	}
	defer envelope.Close()
	text, err := io.ReadAll(io.LimitReader(envelope, sealing.MaxEnvelope+1))
	if err != nil {
		return 0, err
	}
	key, err := sealing.OpenEnvelope(text, d.court.identity, state.ItemRecipient)
	if err != nil {
		return 0, err
	}
	sealed, err := pack.Open(dossier.ItemPath(item.id, "evidence.age"))
	if err != nil {
		return 0, err
	}
	defer sealed.Close()
	same, err := compareWith(item.path)
	if err != nil {
		return 0, err
	}
	defer same.close()
	if _, err := sealing.Decrypt(same, sealed, key); err != nil {
		return 0, err
	}
	return same.n, same.whole()
}

// refuseAltered changes one byte in the middle of the evidence of a copy, and has it verified.
func (d *demo) refuseAltered(ctx context.Context) error {
	altered := filepath.Join(d.dir, "court", "altered.zip")
	if err := copyFile(ctx, altered, d.packagePath()); err != nil {
		return errors.Join(err, os.Remove(altered))
	}
	at, err := flipByte(altered, dossier.ItemPath(d.sharedItem().id, "evidence.age"))
	if err != nil {
		return errors.Join(err, os.Remove(altered))
	}
	report, err := d.verifier(ctx, altered, dossier.Refused)
	if err = errors.Join(err, os.Remove(altered)); err != nil {
		return err
	}
	i := slices.IndexFunc(report.Checks, func(c dossier.CheckResult) bool { return c.Result == dossier.Fail })
	if i < 0 {
		return errors.New("strongroom-verify refused an altered copy without a reason")
	}
	d.refused("A copy with one changed byte (number %d of it). %s", at, report.Checks[i].Detail)
	return nil
}

func copyFile(ctx context.Context, to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	for {
		_, err := io.CopyN(dst, src, 256<<20)
		if err == io.EOF {
			return dst.Close()
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
	}
}

// flipByte changes the byte in the middle of a file of a package, and returns its place.
func flipByte(path, name string) (int64, error) {
	pack, err := zip.OpenReader(path)
	if err != nil {
		return 0, err
	}
	defer pack.Close()
	i := slices.IndexFunc(pack.File, func(f *zip.File) bool { return f.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("the package has no %s", name)
	}
	start, err := pack.File[i].DataOffset()
	if err != nil {
		return 0, err
	}
	at := start + int64(pack.File[i].UncompressedSize64/2)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		return 0, err
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		return 0, err
	}
	return at, f.Close()
}

// tellHistory prints every step of the shared item, as a keyholder sees it, and compares it with what the package says.
func (d *demo) tellHistory(ctx context.Context) error {
	stream := evidence.ItemOf(d.sharedItem().id)
	// Look fails unless the record book proves that the steps are all there are.
	view, err := d.custodian2.Look(ctx, stream)
	if err != nil {
		return err
	}
	told := d.report.Events
	n := view.Len(stream)
	if n != int64(len(told)) {
		return fmt.Errorf("a keyholder sees %d steps, the package has %d", n, len(told))
	}
	for seq := range n {
		leaf, index := view.Leaf(stream, seq)
		t := told[seq]
		if t.Step != seq+1 || t.Entry != index || t.Leaf != leaf {
			return fmt.Errorf("step %d of the package is not the one a keyholder sees", seq+1)
		}
		d.entry(index, "Step %d, %s: %s", t.Step, t.Role, t.What)
	}
	d.checked("Keyholder and package tell the same %d steps. Nothing is left out: at %d entries the record book proves that there is no step %d.",
		n, view.Heads().Covers, n+1)
	return nil
}
