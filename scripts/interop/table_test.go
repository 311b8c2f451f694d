package interop

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/tlog"
)

// What a cell of api/vectors/verifiers.json can say; README.md beside it tells what each means. "out_of_scope: CODE" names its reason;
// needsOpenSSL35 may follow accept and refuse.
const (
	accept         = "accept"
	refuse         = "refuse"
	incomplete     = "incomplete"
	outOfScope     = "out_of_scope: "
	needsOpenSSL35 = ", incomplete before openssl 3.5"
)

// The columns.
const (
	program = iota
	script
	sigstoreGo
	sigstoreJS
	verifiers
)

type table struct {
	Verifiers  []string          `json:"verifiers"`
	OutOfScope map[string]reason `json:"out_of_scope"`
	Rows       []row             `json:"rows"`
}

// reason is why a verifier does not tell what is false: it is not Asked at all, or it is and accepts.
type reason struct {
	Asked bool   `json:"asked"`
	Why   string `json:"why"`
}

type row struct {
	Of    string   `json:"of"`
	Name  string   `json:"name"`
	Cells []string `json:"cells"`
}

// reading is the table, and which of its rows were looked at.
type reading struct {
	table
	seen map[[2]string]bool
}

func readTable(t *testing.T) *reading {
	r := &reading{seen: map[[2]string]bool{}}
	readVectors(t, &r.table, "verifiers.json")
	if !slices.Equal(r.Verifiers, []string{"strongroom-verify", "verify.py", "sigstore-go", "@sigstore/verify"}) {
		t.Fatalf("the columns are %q", r.Verifiers)
	}
	return r
}

// check compares a row with what the verifiers say. say is asked for each column whose verifier is asked at all.
func (r *reading) check(t *testing.T, of, name string, say func(t *testing.T, verifier int) string) {
	r.seen[[2]string{of, name}] = true
	t.Run(of+"/"+name, func(t *testing.T) {
		i := slices.IndexFunc(r.Rows, func(r row) bool { return r.Of == of && r.Name == name })
		if i < 0 || len(r.Rows[i].Cells) != verifiers {
			t.Fatal("it has no row, or one without a cell for each verifier")
		}
		for verifier, cell := range r.Rows[i].Cells {
			want := cell
			if code, is := strings.CutPrefix(cell, outOfScope); is {
				reason, stated := r.OutOfScope[code]
				if !stated {
					t.Errorf("%s: no reason %q is stated", r.Verifiers[verifier], code)
				}
				if !reason.Asked {
					continue
				}
				want = accept
			}
			if with35, is := strings.CutSuffix(want, needsOpenSSL35); is {
				if want = incomplete; openssl35() {
					want = with35
				}
			}
			if got := say(t, verifier); got != want {
				t.Errorf("%s: %s, want %s", r.Verifiers[verifier], got, cell)
			}
		}
	})
}

// whole fails for rows that stand for nothing, rows twice, reasons that no cell has, and where somebody is said to accept, without a reason,
// what strongroom-verify does not.
func (r *reading) whole(t *testing.T) {
	stated, used := map[[2]string]bool{}, map[string]bool{}
	for _, row := range r.Rows {
		key := [2]string{row.Of, row.Name}
		if !r.seen[key] || stated[key] {
			t.Errorf("%s/%s: there is no such vector, or there are two such rows", row.Of, row.Name)
		}
		stated[key] = true
		for _, cell := range row.Cells {
			used[strings.TrimPrefix(cell, outOfScope)] = true
			if strings.TrimSuffix(cell, needsOpenSSL35) == accept && row.Cells[program] != accept {
				t.Errorf("%s/%s: accepted without a reason", row.Of, row.Name)
			}
		}
	}
	for code := range r.OutOfScope {
		if !used[code] {
			t.Errorf("no cell is out of scope for %q", code)
		}
	}
}

// word is a stock verifier's answer as a cell has it.
func word(t *testing.T, err error) string {
	if err == nil {
		return accept
	}
	t.Log(err)
	return refuse
}

// TestVerifiers asserts every cell of the table, and that it has a row for every vector that is a receipt or a package.
func TestVerifiers(t *testing.T) {
	r := readTable(t)
	receiptVectors(t, r)
	packageVectors(t, r)
	cosignedPackages(t, r)
	changedReceipts(t, r)
	stampedReceipts(t, r)
	r.whole(t)
}

// receiptVectors puts the vectors of tlog. Their statements are empty, so programs for packages cannot judge them: in our own column
// stands what package tlog says, by which strongroom-verify reads and verifies receipts.
func receiptVectors(t *testing.T, r *reading) {
	var vectors []struct {
		Name  string
		Input struct{ Trust, Receipt string }
	}
	readVectors(t, &vectors, "tlog", "receipts.json")
	signer := keyIn(t, must(tlog.ParseReceipt([]byte(vectors[0].Input.Receipt))))
	for _, v := range vectors {
		trust := must(tlog.ParseTrust([]byte(v.Input.Trust)))
		s, receipt := must(newStock(trust.TrustedRoot(), signer)), []byte(v.Input.Receipt)
		r.check(t, "tlog/receipts.json", v.Name, func(t *testing.T, verifier int) string {
			if verifier == program {
				return word(t, byTlog(trust, receipt))
			}
			return word(t, s.by(verifier, receipt))
		})
	}
}

// byTlog judges a receipt, and each of its time stamps where the trust file has a root for any.
func byTlog(trust tlog.Trust, receipt []byte) error {
	r, err := tlog.ParseReceipt(receipt)
	if err != nil {
		return err
	}
	if _, err := r.Verify(trust.LogKeys()); err != nil || !trust.RequiresTimestamps() {
		return err
	}
	_, _, signature := r.Signed()
	for _, response := range r.Timestamps() {
		if _, err := trust.VerifyTimestamp(response, signature); err != nil {
			return err
		}
	}
	return nil
}

// packageVectors puts whole packages.
func packageVectors(t *testing.T, r *reading) {
	in := func(path ...string) string {
		return filepath.Join(append([]string{"..", "..", "api", "vectors"}, path...)...)
	}
	var vectors []struct{ Name, Package, Trust, Identity, Previous string }
	readVectors(t, &vectors, "dossier", "vectors.json")
	for _, v := range vectors {
		p := pack{in("dossier", v.Package), in("dossier", v.Trust), in("dossier", v.Identity), ""}
		if v.Previous != "" {
			p.previous = in("dossier", v.Previous)
		}
		r.checkPackage(t, "dossier/vectors.json", v.Name, p)
	}
	for _, path := range must(filepath.Glob(in("earlier", "*"))) {
		r.checkPackage(t, "earlier", filepath.Base(path),
			pack{filepath.Join(path, "package.zip"), filepath.Join(path, "trust.json"), filepath.Join(path, "identity.txt"), ""})
	}
}

// checkPackage puts a package to all. Stock verifiers judge each of its receipts; one that they refuse refuses the package.
func (r *reading) checkPackage(t *testing.T, of, name string, p pack) {
	r.check(t, of, name, func(t *testing.T, verifier int) string {
		switch verifier {
		case program:
			return p.byProgram(t)
		case script:
			return p.byScript(t)
		}
		c := readContents(t, p.file)
		s := c.stock(must(tlog.ParseTrust(must(os.ReadFile(p.trust)))))
		for path, receipt := range c.receipts {
			if err := s.by(verifier, receipt); err != nil {
				t.Log(path)
				return word(t, err)
			}
		}
		return accept
	})
}

// by judges with one of the two stock verifiers.
func (s stock) by(verifier int, receipt []byte) error {
	switch verifier {
	case sigstoreGo:
		return s.sigstoreGo(receipt)
	case sigstoreJS:
		return s.sigstoreJS(receipt)
	}
	panic("only stock verifiers take a receipt alone")
}

// changedReceipts puts a package in which one receipt was changed and the list of files made anew. Stock verifiers judge that receipt.
func changedReceipts(t *testing.T, r *reading) {
	in := func(name string) string { return filepath.Join("..", "..", "api", "vectors", "dossier", name) }
	p := pack{file: filepath.Join(folder, "changed.zip"), trust: in("five.trust.json"), identity: in("five.identity.txt")}
	c := readContents(t, in("first.zip"))
	path, next := c.twoByOne(t)
	o := others{open(t, c.receipts[next]), open(t, readContents(t, in("second.zip")).receipts[path]), nil, nil}
	for _, receipt := range readContents(t, in("genuine.zip")).receipts {
		o.stranger = open(t, receipt)
	}
	original := c.receipts[path]
	for _, receipt := range c.receipts {
		if hint := open(t, receipt).Material.PublicKey.Hint; !bytes.Equal(hint, open(t, original).Material.PublicKey.Hint) {
			o.someone = hint
		}
	}
	s := c.stock(must(tlog.ParseTrust(must(os.ReadFile(p.trust)))))
	put := func(of, name string, receipt []byte) {
		r.check(t, of, name, func(t *testing.T, verifier int) string {
			switch verifier {
			case program:
				c.write(t, p.file, path, receipt)
				return p.byProgram(t)
			case script:
				c.write(t, p.file, path, receipt)
				return p.byScript(t)
			}
			return word(t, s.by(verifier, receipt))
		})
	}
	for i, change := range changes {
		d := open(t, original)
		change.edit(d, o)
		if same := bytes.Equal(d.text(), original); same != (i == 0) {
			t.Fatalf("%s: changed %t", change.name, !same)
		}
		put("changed", change.name, d.text())
	}
	for _, spelling := range spellings {
		text := []byte(spelling.spell(string(original)))
		if bytes.Equal(text, original) {
			t.Fatalf("%s: nothing is spelled otherwise", spelling.name)
		}
		put("spelled", spelling.name, text)
	}
}

// write makes the package anew with another receipt at path.
func (c contents) write(t *testing.T, file, path string, receipt []byte) {
	t.Helper()
	files := slices.Clone(c.files)
	i := slices.IndexFunc(files, func(f dossier.File) bool { return f.Path == path })
	files[i] = dossier.BytesFile(path, receipt)
	writePackage(t, file, c.manifest, files)
}

func readVectors(t *testing.T, into any, path ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", "..", "api", "vectors"}, path...)...))
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}
