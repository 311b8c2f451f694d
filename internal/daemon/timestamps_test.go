package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/config"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/timestamping"
	"strongroom.example/strongroom/internal/tlog"
)

// stampingVault is a vault not yet founded whose configuration names an authority, and that authority, which answers over HTTP with the
// clock of the test and holds a revocation list of no form.
type stampingVault struct {
	dir, origin string
	root        []byte // PEM
	options     Options
	founding    Founding
	cast        cast
}

func newStampingVault(t *testing.T, clock func() time.Time) stampingVault {
	t.Helper()
	authority := must(timestamping.OpenDevelopment(must(timestamping.MakeDevelopment()), clock))
	mux := http.NewServeMux()
	mux.Handle("POST /tsr", authority)
	mux.HandleFunc("GET /crl", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("no list")) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	v := stampingVault{dir: filepath.Join(t.TempDir(), "vault"), options: testOptions()}
	v.options.ConfigFile = filepath.Join(t.TempDir(), "server.yaml")
	text := fmt.Sprintf("timestamps: {authorities: [{name: first, url: %q, crl: %q}], events: [case]}\n", server.URL+"/tsr", server.URL+"/crl")
	must(0, os.WriteFile(v.options.ConfigFile, []byte(text), 0o600))
	v.origin = must(Create(t.Context(), v.dir, "", v.options))
	for name, algorithm := range map[string]keys.Algorithm{logKey: keys.P256, logNoteKey: keys.Ed25519, vaultKey: keys.P256} {
		path := folder(v.dir).path("keys", name)
		must(0, os.Remove(path))
		must(keys.Create(path, algorithm, nil))
	}
	v.root = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Root().Raw})
	_, v.cast = once()
	v.founding = Founding{
		Founders: [][]byte{v.cast.Administrator.founder(v.origin), v.cast.A.founder(v.origin), v.cast.B.founder(v.origin)},
		Recovery: v.cast.Recovery, Policy: DefaultPolicy, Version: "test", TimestampRoots: v.root,
	}
	return v
}

// TestTimestamps founds a vault with an authority of its configuration and the development authority: both are in the trust file, both
// stamp the checkpoint and the events of the configured class, and a backup has what the development authority needs.
func TestTimestamps(t *testing.T) {
	v := newStampingVault(t, time.Now)
	v.founding.DevelopmentTimestamps = true
	trust := must(Found(t.Context(), v.dir, v.options, v.founding))
	if again := must(Found(t.Context(), v.dir, v.options, v.founding)); !bytes.Equal(again.Marshal(), trust.Marshal()) {
		t.Error("another trust file the second time")
	}
	if len(trust.TimestampRoots()) != 2 || len(trust.Authorities()) != 2 || !strings.HasSuffix(trust.Authorities()[0].URI, "/tsr") {
		t.Fatalf("%d roots, authorities %+v", len(trust.TimestampRoots()), trust.Authorities())
	}
	p := must(open(t.Context(), v.dir, v.options))
	defer func() { must(0, p.close()) }()
	_, o, err := v.cast.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	await(t, "time stamps", func() bool {
		s := p.ledger.Witnessed()
		stamps, err := p.records.EventStamps(t.Context(), o.LeafHash)
		return err == nil && s.Required && s.Behind == 0 && len(stamps) == 2
	})
	statement := must(p.records.EventStamps(t.Context(), o.LeafHash))
	for _, s := range statement {
		if s.Authority != "first" && s.Authority != config.Development {
			t.Errorf("stamped by %q", s.Authority)
		}
	}
	done := must(p.backup(t.Context(), BackupOptions{To: filepath.Join(t.TempDir(), "backup"), Keep: 1}))
	if text := string(must(json.Marshal(done.Manifest))); !strings.Contains(text, "keys/"+developmentFile) {
		t.Errorf("not in the backup: %s", text)
	}
}

// TestFoundingTimestamps: no trust file is written where authorities and roots do not fit.
func TestFoundingTimestamps(t *testing.T) {
	v := newStampingVault(t, time.Now)
	other := must(timestamping.OpenDevelopment(must(timestamping.MakeDevelopment()), time.Now)).Root().Raw
	for _, test := range []struct {
		name   string
		change func(o *Options, f *Founding)
		want   error
	}{
		{"no root", func(_ *Options, f *Founding) { f.TimestampRoots = nil }, errTimestamps},
		{"no authority", func(o *Options, _ *Founding) { o.ConfigFile = "" }, errTimestamps},
		{"another root", func(_ *Options, f *Founding) {
			f.TimestampRoots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other})
		}, tlog.ErrTimestamp},
		{"no certificates", func(_ *Options, f *Founding) { f.TimestampRoots = []byte("root") }, nil},
	} {
		o, f := v.options, v.founding
		test.change(&o, &f)
		if _, err := Found(t.Context(), v.dir, o, f); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
		if _, err := os.Stat(folder(v.dir).trust()); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%s: a trust file was written", test.name)
		}
	}
	must(Found(t.Context(), v.dir, v.options, v.founding))
}

// TestWithoutTimestamps: without flags nothing of time stamps is there, and a configuration that names an authority later is told of.
func TestWithoutTimestamps(t *testing.T) {
	dir := made(t)
	trust := must(tlog.ParseTrust(must(os.ReadFile(folder(dir).trust()))))
	if trust.RequiresTimestamps() || len(trust.Authorities()) > 0 {
		t.Error("time stamps are required")
	}
	if _, err := os.Stat(folder(dir).development()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a development authority: %v", err)
	}
	o := testOptions()
	o.ConfigFile = filepath.Join(t.TempDir(), "server.yaml")
	must(0, os.WriteFile(o.ConfigFile, []byte("timestamps: {authorities: [{name: later, url: 'https://time.example/'}]}\n"), 0o600))
	log := new(lockedBuffer)
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	p := must(open(t.Context(), dir, o))
	must(0, p.close())
	if !strings.Contains(log.String(), "timestamps_do_not_fit") || len(p.timestampers) > 0 {
		t.Errorf("%d authorities, %s", len(p.timestampers), log)
	}
}

// TestClockDrift: an authority whose clock is far from ours is told of, and so is a revocation list that is none.
func TestClockDrift(t *testing.T) {
	var ahead atomic.Int64
	v := newStampingVault(t, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	log := new(lockedBuffer)
	v.options.Logger = slog.New(slog.NewTextHandler(log, nil))
	p := must(openParts(t.Context(), folder(v.dir), v.options))
	defer func() { must(0, p.close()) }()
	authorities, roots, err := p.foundTimestamps(t.Context(), v.founding)
	if err != nil {
		t.Fatal(err)
	}
	authorities[0].Start = authorities[0].Start.Add(-2 * time.Hour)
	least := must(tlog.ParseTrust(must(os.ReadFile(folder(made(t)).trust()))))
	trust := must(tlog.NewTrust(tlog.TrustParts{
		Vault: least.Vault(), Logs: least.Logs(), Founders: least.Founders(), Authorities: authorities, TimestampRoots: roots,
	}))
	must(0, p.openTimestamps(trust))
	list := p.authorities(trust)
	if len(list) != 1 || list[0].Name != "first" {
		t.Fatalf("authorities %+v", list)
	}
	for _, by := range []time.Duration{0, -time.Hour, time.Hour} {
		ahead.Store(int64(by))
		before := log.String()
		message := []byte("checkpoint")
		if _, err := trust.VerifyTimestamp(must(list[0].Stamp(t.Context(), message)), message); err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(strings.TrimPrefix(log.String(), before), "clock_drift"); told != (by != 0) {
			t.Errorf("%v ahead: %s", by, log)
		}
	}
	if err := p.fetchRevocation(t.Context(), p.timestampers[0]); !errors.Is(err, timestamping.ErrCRL) {
		t.Errorf("a list that is none: %v", err)
	}
	p.timestampers[0].crl = func(context.Context) ([]byte, error) { return []byte("list"), nil }
	must(0, p.fetchRevocation(t.Context(), p.timestampers[0]))
	if lists := must(p.revocations()); string(lists["first"]) != "list" {
		t.Errorf("lists %v", lists)
	}
}

func TestStamped(t *testing.T) {
	none, some := []string{}, []string{"grant", "item"}
	for _, test := range []struct {
		events *[]string
		kind   ev.Kind
		want   bool
	}{
		{nil, ev.ItemDeposited, true}, {nil, ev.VaultConfigured, true}, {nil, ev.VaultHeads, false},
		{&none, ev.ItemDeposited, false}, {&some, ev.ItemDeposited, true}, {&some, ev.GrantApproved, true}, {&some, ev.ConsentWithdrawn, false},
	} {
		if got := stamped(config.Timestamps{Events: test.events})(test.kind); got != test.want {
			t.Errorf("%v %s: %v", test.events, test.kind, got)
		}
	}
	classes := make(map[string]bool)
	for kind := range strings.FieldsSeq(kindsOfSchema(t)) {
		class, _, _ := strings.Cut(kind, ".")
		classes[class] = true
	}
	for _, class := range config.Classes {
		if !classes[class] {
			t.Errorf("no event is of class %s", class)
		}
		delete(classes, class)
	}
	if len(classes) > 0 {
		t.Errorf("classes that no configuration can name: %v", classes)
	}
}

// kindsOfSchema are the kinds of api/predicate.schema.json.
func kindsOfSchema(t *testing.T) string {
	t.Helper()
	text := must(os.ReadFile("../../api/predicate.schema.json"))
	var schema any
	must(0, json.Unmarshal(text, &schema))
	var kinds []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if kind, ok := v["kind"].(map[string]any); ok {
				if name, ok := kind["const"].(string); ok {
					kinds = append(kinds, name)
				}
			}
			for _, child := range v {
				walk(child)
			}
		case []any:
			for _, child := range v {
				walk(child)
			}
		}
	}
	walk(schema)
	if len(kinds) == 0 {
		t.Fatal("the schema names no kinds")
	}
	return strings.Join(kinds, " ")
}

// await waits for a condition that another goroutine brings about.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no " + what)
		}
	}
}

// lockedBuffer takes the lines of a log.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
