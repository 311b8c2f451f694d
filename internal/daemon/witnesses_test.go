package daemon

import (
	"context"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/config"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/omniwitness"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// watched makes a vault whose log a real witness must cosign.
func watched(t *testing.T, set ...func(*Options)) (dir string, c cast, trust tlog.Trust, w *omniwitness.Witness, key string) {
	t.Helper()
	program, err := omniwitness.Find()
	if err != nil {
		t.Fatal(err)
	}
	w = must(omniwitness.New(program, filepath.Join(t.TempDir(), "witness"), "witness.example", omniwitness.MLDSA44))
	dir = filepath.Join(t.TempDir(), "vault")
	c, founding := unfounded(dir, set...)

	// What cannot be kept is refused before anything says it for good.
	for _, wrong := range []string{"quorum nobody\n", w.Line(), w.Line() + w.Line() + "quorum witness.example\n", strings.Replace(w.Line(), " ", "\t", 1) + "quorum witness.example\n"} {
		founding.Witness = wrong
		if _, err := Found(t.Context(), dir, testOptions(), founding); err == nil {
			t.Errorf("founded with %q", wrong)
		}
		if _, err := os.Stat(folder(dir).trust()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a trust file says %q: %v", wrong, err)
		}
	}
	founding.Witness = w.Line() + "quorum witness.example\n"
	for range 2 {
		trust = must(Found(t.Context(), dir, testOptions(), founding)) // no witness runs, and nobody waits for one
	}
	other := founding
	other.Witness = ""
	if _, err := Found(t.Context(), dir, testOptions(), other); err == nil {
		t.Error("founded again with other witnesses")
	}
	return dir, c, trust, w, must(WitnessKey(trust))
}

func run(t *testing.T, w *omniwitness.Witness, trust tlog.Trust, key string) {
	t.Helper()
	if err := w.Run(t.Context(), trust.Vault(), key); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Kill)
}

func final(t *testing.T, p *parts, o vault.Outcome) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	receipt, err := p.ledger.AwaitFinal(ctx, o.LeafHash)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func settled(t *testing.T, p *parts) ledger.Status {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if s := p.ledger.Witnessed(); s.Behind == 0 && s.Since.IsZero() && s.Size > 0 {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("not final: %+v", p.ledger.Witnessed())
		}
	}
}

// Trust file and first configuration name the same witnesses; what came from a witness is in every backup and comes back with it; fsck
// finds what is wrong with it.
func TestWatchedVault(t *testing.T) {
	dir, c, trust, w, key := watched(t)
	run(t, w, trust, key)
	p := must(open(t.Context(), dir, testOptions()))
	policy := ev.PolicyOf(p.settings.Origin)
	configured := must(p.records.States(t.Context(), policy))[policy].(*ev.PolicyState)
	if configured.Witness != trust.WitnessPolicy() || configured.Witness == "" {
		t.Errorf("configured are %q, trusted %q", configured.Witness, trust.WitnessPolicy())
	}
	_, o, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	before := final(t, p, o)
	settled(t, p)
	rows := must(p.records.AllPublished(t.Context(), -1, 1000))
	if len(rows) == 0 || rows[len(rows)-1].Final != ledger.PolicyID(trust) {
		t.Fatalf("%d published checkpoints, the last one not final", len(rows))
	}
	backup, newest := filepath.Join(t.TempDir(), "backup"), checkpointFile(t, p.ledger.Checkpoint())
	backedUp(t, p, backup)
	must(0, p.close())

	var examined Examined
	examined, err = Fsck(t.Context(), dir, testOptions(), func(d Damage) { t.Errorf("a sound vault has damage: %+v", d) })
	if err != nil || examined.Published < int64(len(rows)) { // the vault may have published its list of heads meanwhile
		t.Errorf("examined %+v: %v", examined, err)
	}

	// Restored, it goes on: the restore itself is seen by the witness, as growth of the log that it knows.
	anew, _ := restored(t, Restoration{From: backup, Data: filepath.Join(t.TempDir(), "anew"), Newest: []string{newest}})
	there := must(anew.records.AllPublished(t.Context(), -1, int(len(rows))))
	for i, row := range there {
		if string(row.Note) != string(rows[i].Note) || row.Final != rows[i].Final {
			t.Errorf("published checkpoint %d came back as another", i)
		}
	}
	if string(final(t, anew, o)) != string(before) {
		t.Error("a final receipt changed with the restore")
	}
	if s := settled(t, anew); s.Alarmed() || s.Witnesses[0].State != ledger.Well {
		t.Errorf("status after the restore is %+v", s)
	}
	must(0, anew.close())

	last := `(select max(size) from published)`
	for name, damage := range map[string]struct{ query, where, what string }{
		"no log signature":    {`update published set signed = replace(cast(signed as text), '— ` + trust.Vault() + `', '— x.` + trust.Vault() + `') where size = ` + last, "published checkpoint", "not signed by this vault's log"},
		"another size":        {`update published set size = size + 1000 where size = ` + last, "published checkpoint", "not signed by this vault's log"},
		"lost cosignature":    {`update published set signed = substr(cast(signed as text), 1, instr(cast(signed as text), '— witness.example') - 1) where size = ` + last, "published checkpoint", "are missing"},
		"damaged cosignature": {`update published set signed = replace(cast(signed as text), 'A', 'B') where size = ` + last, "published checkpoint", ""},
		"made final":          {`update published set audited = final where size = ` + last, "published checkpoint", "are missing"},
		"false stamp":         {`insert into published_stamps (size, authority, response) select size, 'x', x'00' from published where size = ` + last, "published checkpoint", "a time stamp over it is damaged"},
		"false event stamp":   {`insert into event_stamps (ord, authority, response) values (3, 'x', x'00')`, "", "a time stamp over it is damaged"},
		"unreadable":          {`update published set final = x'0102' where size = ` + last, "published checkpoints", "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			hurt := filepath.Join(t.TempDir(), "hurt")
			must(0, os.CopyFS(hurt, os.DirFS(dir)))
			must(0, private(hurt))
			statements(t, hurt, damage.query)
			found := examine(t, hurt)
			for _, d := range found {
				if strings.HasPrefix(d.Where, damage.where) && strings.Contains(d.What, damage.what) {
					return
				}
			}
			t.Errorf("not found; found was %+v", found)
		})
	}
}

// A trust file that names other witnesses than the configuration is found.
func TestOtherWitnesses(t *testing.T) {
	dir, _, trust, _, _ := watched(t)
	must(0, os.WriteFile(folder(dir).trust(), must(tlog.NewTrust(tlog.TrustParts{
		Vault: trust.Vault(), Logs: trust.Logs(), Founders: trust.Founders(),
	})).Marshal(), 0o644))
	for _, d := range examine(t, dir) {
		if d.Where == "trust.json" && strings.Contains(d.What, "witnesses") {
			return
		}
	}
	t.Error("not found")
}

// Witnesses are asked over TLS that the configuration's certificates vouch for, and no other.
func TestWitnessClient(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	must(0, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	for file, ok := range map[string]bool{"": false, ca: true} {
		resp, err := must(witnessClient(config.Witnesses{CAFile: file})).Get(server.URL)
		if (err == nil) != ok {
			t.Errorf("with %q: %v", file, err)
		}
		if err == nil {
			resp.Body.Close()
		}
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	must(0, os.WriteFile(empty, nil, 0o600))
	for _, file := range []string{empty, filepath.Join(t.TempDir(), "missing")} {
		if _, err := witnessClient(config.Witnesses{CAFile: file}); err == nil {
			t.Errorf("%s is taken", filepath.Base(file))
		}
	}
}
