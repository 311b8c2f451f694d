package sqldb

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("SQLDB_CRASH_CHILD"); path != "" {
		crashChild(path)
	}
	code := m.Run()
	removeCluster()
	os.Exit(code)
}

func TestCreateOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "50% of #1? a folder")
	ok(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "records ä.db")
	_, err := Open(ctx, path)
	refused(t, err, evidence.NotFound, "records_missing")
	db := must[*DB](t)(Create(ctx, path))
	ok(t, db.SetMeta(ctx, "origin", origin))
	files := must[[]os.DirEntry](t)(os.ReadDir(dir))
	same(t, len(files), 3) // the database, its log, its index
	for _, f := range files {
		if info := must[os.FileInfo](t)(f.Info()); info.Mode().Perm() != 0o600 || !strings.HasPrefix(f.Name(), "records ä.db") {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
	_, err = Create(ctx, path)
	refused(t, err, evidence.Conflict, "records_exist")
	ok(t, db.Close())
	db = must[*DB](t)(Open(ctx, path))
	same(t, must[string](t)(db.Meta(ctx, "origin")), origin)
	ok(t, db.Close())

	for name, content := range map[string][]byte{"empty": nil, "text": bytes.Repeat([]byte("text "), 100)} {
		other := filepath.Join(dir, name)
		ok(t, os.WriteFile(other, content, 0o600))
		_, err = Open(ctx, other)
		refused(t, err, evidence.Invalid, "records_foreign")
		same(t, must[[]byte](t)(os.ReadFile(other)), append([]byte{}, content...))
	}
	_, err = Open(ctx, dir)
	refused(t, err, evidence.Invalid, "records_foreign")
	other := filepath.Join(dir, "other.db")
	foreign := must[*sql.DB](t)(sql.Open("sqlite", (&url.URL{Scheme: "file", OmitHost: true, Path: other}).String()))
	must[sql.Result](t)(foreign.Exec(`create table t (x)`))
	ok(t, foreign.Close())
	_, err = Open(ctx, other)
	refused(t, err, evidence.Invalid, "records_foreign")

	// A page of zeros in the middle is seen, not served.
	b := must[[]byte](t)(os.ReadFile(path))
	for i := 4096; i < len(b); i++ {
		b[i] = 0
	}
	ok(t, os.WriteFile(path, b, 0o600))
	_, err = Open(ctx, path)
	refused(t, err, evidence.Internal, "records_damaged")
}

func TestNewerSchemaIsRefused(t *testing.T) {
	e := sqliteEngine()
	db := e.create(t)
	ok(t, db.submit(ctx, func(ctx context.Context, tx *tx) error {
		if _, err := tx.exec(ctx, `update meta set value = '99' where key = 'compatible'`); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `insert into goose_db_version (version_id, is_applied) values (99, 1)`)
		return err
	}))
	path := pathOf(t, db)
	ok(t, db.Close())
	_, err := Open(ctx, path)
	refused(t, err, evidence.Invalid, "records_newer")
}

func pathOf(t testing.TB, db *DB) string {
	t.Helper()
	return must[string](t)(one(ctx, db.read, "file", scanTo[string], `select file from pragma_database_list where name = 'main'`))
}

// How the connections were opened is what durability stands on.
func TestPragmas(t *testing.T) {
	db := sqliteEngine().create(t)
	want := map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000",
		"secure_delete": "1", "recursive_triggers": "1", "temp_store": "2",
	}
	for name, value := range want {
		same(t, name+"="+must[string](t)(one(ctx, db.read, name, scanTo[string], `pragma `+name)), name+"="+value)
		ok(t, db.submit(ctx, func(ctx context.Context, tx *tx) error {
			same(t, name+"="+must[string](t)(one(ctx, tx, name, scanTo[string], `pragma `+name)), name+"="+value)
			return nil
		}))
	}
	if _, err := db.read.db.Exec(`insert into meta (key, value) values ('a', 'b')`); err == nil {
		t.Error("the read pool writes")
	}
	// What would be replaced is protected too.
	w := newWorld(t, db)
	a := evidence.NewID[evidence.ActorID]()
	w.put(evidence.ActorOf(a), newActor(a))
	refused(t, db.submit(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, `insert or replace into events
			select ord, stream_type, stream_id, seq, 'x', leaf_hash, pae_digest, stands, leaf, dsse from events`)
		return err
	}), evidence.Internal, "records")
}

// Destroyed bytes are in no file any more, and what is kept still is.
func TestDestroyErasesBytes(t *testing.T) {
	db := sqliteEngine().create(t)
	w := newWorld(t, db)
	item := newItem(evidence.NewID[evidence.ItemID](), "cas-a")
	stream, court := evidence.ItemOf(item.ID), evidence.SHA256([]byte("court"))
	body := strings.Repeat("the court's envelope ", 80)
	for range 50 {
		w.put(stream, item, attach(ledger.Envelope, court, body), attach(ledger.Envelope, evidence.Hash{1}, strings.Repeat("another envelope ", 100)))
	}
	found := func(text string) (n int) {
		for _, f := range must[[]string](t)(filepath.Glob(pathOf(t, db) + "*")) {
			n += bytes.Count(must[[]byte](t)(os.ReadFile(f)), []byte(text))
		}
		return n
	}
	if found("court's envelope") == 0 {
		t.Fatal("the test cannot see the bytes")
	}
	item.Envelopes = named(attach(ledger.Envelope, evidence.Hash{1}, strings.Repeat("another envelope ", 100)))
	w.put(stream, item)
	ok(t, db.Destroy(ctx, stream))
	same(t, found("court's envelope"), 0)
	if found("another envelope") == 0 {
		t.Error("other bytes are gone too")
	}
}

// While somebody reads the state before, the log cannot be emptied: Destroy says so, and works when repeated.
func TestDestroyWaitsForReaders(t *testing.T) {
	db := sqliteEngine().create(t)
	w := newWorld(t, db)
	item := newItem(evidence.NewID[evidence.ItemID](), "cas-a")
	w.put(evidence.ItemOf(item.ID), item, attach(ledger.Envelope, evidence.Hash{1}, "envelope"))
	ok(t, db.submit(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, `pragma busy_timeout = 50`)
		return err
	}))
	err := db.read.view(ctx, func(s snapshot) error {
		must[int64](t)(one(ctx, s, "", scanTo[int64], `select count(*) from events`))
		refused(t, db.Destroy(ctx, evidence.ItemOf(item.ID)), evidence.Internal, "erase_incomplete")
		return nil
	})
	ok(t, err)
	ok(t, db.Destroy(ctx, evidence.ItemOf(item.ID)))
}

// A full disk is a clear error; nothing is half written, and everything works once there is room.
func TestDiskFull(t *testing.T) {
	e := sqliteEngine()
	db := e.create(t)
	w := newWorld(t, db)
	a := evidence.NewID[evidence.ActorID]()
	w.put(evidence.ActorOf(a), newActor(a))
	pages := func(n int64) {
		t.Helper()
		ok(t, db.submit(ctx, func(ctx context.Context, tx *tx) error {
			if n == 0 {
				n = must[int64](t)(one(ctx, tx, "", scanTo[int64], `pragma page_count`)) + 3
			}
			_, err := tx.exec(ctx, fmt.Sprintf(`pragma max_page_count = %d`, n))
			return err
		}))
	}
	big := strings.Repeat("x", 60<<10)
	pages(0)
	signed := w.sign(evidence.ActorOf(a))
	c := ledger.Commit{Signed: signed, Attachments: []ledger.Attachment{attach(ledger.Note, evidence.Hash{}, big)}}
	_, err := db.Commit(ctx, c, rule(signed, newActor(a)))
	refused(t, err, evidence.Internal, "records_full")
	for _, n := range []int{len(must[[]ledger.Entry](t)(db.Events(ctx, 0, 10))), len(must[[]ledger.Entry](t)(db.Pending(ctx, 10)))} {
		same(t, n, 1)
	}
	same(t, len(must[[]StoredAttachment](t)(db.Attachments(ctx, 0, 10))), 0)
	same(t, must[map[evidence.Stream]evidence.State](t)(db.States(ctx, evidence.ActorOf(a)))[evidence.ActorOf(a)].Tip(), w.tips[evidence.ActorOf(a)])

	// Among others in one transaction, only those that do not fit fail.
	var wg sync.WaitGroup
	var fit, full atomic.Int64
	for i := range 32 {
		wg.Go(func() {
			value := "small"
			if i%4 == 0 {
				value = big
			}
			switch err := db.SetMeta(ctx, fmt.Sprint(i), value); evidence.ReasonOf(err) {
			case "records_full":
				full.Add(1)
			case "internal":
				fit.Add(1)
			default:
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	same(t, []int64{fit.Load(), full.Load()}, []int64{24, 8})

	pages(1 << 30)
	must[ledger.Entry](t)(db.Commit(ctx, c, rule(signed, newActor(a))))
	db = e.reopen(t, db)
	same(t, len(must[[]ledger.Entry](t)(db.Events(ctx, 0, 10))), 2)
	same(t, must[string](t)(one(ctx, db.read, "", scanTo[string], `pragma integrity_check`)), "ok")
}

// Two processes may have the file open: the other's write lock is waited for, and what it wrote is seen.
func TestTwoOpen(t *testing.T) {
	db := sqliteEngine().create(t)
	other := must[*DB](t)(Open(ctx, pathOf(t, db)))
	defer other.Close()
	w := newWorld(t, db)
	c := evidence.CaseOf(evidence.NewID[evidence.CaseID]())
	for round := range 10 {
		var wg sync.WaitGroup
		var won atomic.Int64
		signed := make([]*ledgerCommit, 2)
		for i, d := range []*DB{db, other} {
			s := w.sign(c)
			signed[i] = &ledgerCommit{ledger.Commit{Signed: s}, nil}
			wg.Go(func() {
				_, signed[i].err = d.Commit(ctx, signed[i].Commit, rule(s, &evidence.CaseState{ID: evidence.CaseID(c.ID)}))
				if signed[i].err == nil {
					won.Add(1)
				} else {
					refused(t, signed[i].err, evidence.Conflict, "position")
				}
			})
		}
		wg.Wait()
		same(t, won.Load(), int64(1))
		for _, s := range signed {
			if s.err == nil {
				w.tips[c] = tipOf(s.Signed)
			}
		}
		same(t, len(must[[]ledger.Entry](t)(other.Stream(ctx, c, -1, 100))), round+1)
		for _, d := range []*DB{db, other} {
			same(t, must[map[evidence.Stream]evidence.State](t)(d.States(ctx, c))[c].Tip(), w.tips[c])
		}
	}
}

// When COMMIT itself fails nobody in the transaction is told that it worked, and the next transaction is as good as any.
func TestOutcomeUnknown(t *testing.T) {
	db := sqliteEngine().create(t)
	poison := &job{done: make(chan error, 1), do: func(ctx context.Context, tx *tx) error {
		if _, err := tx.exec(ctx, `pragma defer_foreign_keys = 1`); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `insert into pending (ord) values (999)`) // of no event: seen at COMMIT
		return err
	}}
	good := &job{done: make(chan error, 1), do: func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, `insert into meta (key, value) values ('a', 'b')`)
		return err
	}}
	ok(t, db.submit(ctx, func(context.Context, *tx) error {
		db.writer.queue <- good
		db.writer.queue <- poison
		return nil
	}))
	refused(t, <-good.done, evidence.Internal, "outcome_unknown")
	refused(t, <-poison.done, evidence.Internal, "outcome_unknown")
	_, err := db.Meta(ctx, "a")
	refused(t, err, evidence.NotFound, "meta")
	ok(t, db.SetMeta(ctx, "a", "c"))
	same(t, must[string](t)(db.Meta(ctx, "a")), "c")
}

// Another process may hold the write lock for a while, and for too long.
func TestBusy(t *testing.T) {
	db := sqliteEngine().create(t)
	other := must[*DB](t)(Open(ctx, pathOf(t, db)))
	defer other.Close()
	ok(t, db.submit(ctx, func(ctx context.Context, tx *tx) error {
		_, err := tx.exec(ctx, `pragma busy_timeout = 1`)
		return err
	}))
	held, waiting := make(chan struct{}), make(chan error, 1)
	ok(t, other.submit(ctx, func(ctx context.Context, tx *tx) error {
		refused(t, db.SetMeta(ctx, "long", "x"), evidence.Internal, "records_busy")
		go func() {
			close(held)
			waiting <- db.SetMeta(context.Background(), "short", "x")
		}()
		<-held
		time.Sleep(5 * time.Millisecond)
		return nil
	}))
	ok(t, <-waiting)
	_, err := db.Meta(ctx, "long")
	refused(t, err, evidence.NotFound, "meta")
}

type ledgerCommit struct {
	ledger.Commit
	err error
}

const crashWorkers = 8

// crashChild commits for ever, each worker on a stream of its own, and says so line by line once a commit is acknowledged.
func crashChild(path string) {
	db, err := Open(ctx, path)
	if err != nil {
		fmt.Println("fatal:", err)
		os.Exit(1)
	}
	t := &childTB{}
	var mu sync.Mutex
	for n := range crashWorkers {
		go func() {
			w := newWorld(t, db)
			a := evidence.NewID[evidence.ActorID]()
			for {
				e := w.put(evidence.ActorOf(a), newActor(a), attach(ledger.Note, evidence.Hash{}, strings.Repeat("n", 100*n)))
				mu.Lock()
				fmt.Println(e.LeafHash)
				mu.Unlock()
			}
		}()
	}
	select {}
}

// childTB is the part of testing.TB that a world uses, in a process without a test.
type childTB struct{ testing.TB }

func (*childTB) Helper() {}
func (*childTB) Fatal(args ...any) {
	fmt.Println(append([]any{"fatal:"}, args...)...)
	os.Exit(1)
}

// Nothing that was acknowledged is lost when the process is killed at any instant.
func TestKill(t *testing.T) {
	e := sqliteEngine()
	db := e.create(t)
	path := pathOf(t, db)
	ok(t, db.Close())
	var acknowledged []evidence.Hash
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SQLDB_CRASH_CHILD="+path)
		out, err := cmd.StdoutPipe()
		ok(t, err)
		ok(t, cmd.Start())
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			h, err := evidence.ParseHash(lines.Text())
			if err != nil {
				if len(lines.Text()) == 64 {
					t.Fatal(err)
				}
				if strings.HasPrefix(lines.Text(), "fatal") {
					t.Fatal(lines.Text())
				}
				break // a line cut short by the kill
			}
			acknowledged = append(acknowledged, h)
			if n == 100+50*round {
				time.AfterFunc(time.Duration(round*7)*time.Millisecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()

		db := must[*DB](t)(Open(ctx, path))
		for _, h := range acknowledged {
			if _, err := db.Entry(ctx, h); err != nil {
				t.Fatalf("round %d: acknowledged and lost: %v", round, err)
			}
		}
		same(t, must[string](t)(one(ctx, db.read, "", scanTo[string], `pragma integrity_check`)), "ok")
		all := must[[]ledger.Entry](t)(db.Events(ctx, 0, 1<<20))
		for i, entry := range all {
			if entry.Order != int64(i+1) {
				t.Fatalf("order has a gap at %d", i)
			}
		}
		// All or nothing: each event with its attachment and its place among the pending.
		same(t, len(must[[]StoredAttachment](t)(db.Attachments(ctx, 0, 1<<20))), len(all))
		same(t, len(must[[]ledger.Entry](t)(db.Pending(ctx, 1<<20))), len(all))
		t.Logf("round %d: %d acknowledged so far, %d stored", round, len(acknowledged), len(all))
		ok(t, db.Close())
	}
}

// Every text of SQL numbers its parameters in order of first appearance: the one form that all drivers bind alike.
func TestPlaceholders(t *testing.T) {
	number := regexp.MustCompile(`\$(\d+)`)
	queries := 0
	for _, file := range must[[]string](t)(filepath.Glob("*.go")) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed := must[*ast.File](t)(parser.ParseFile(token.NewFileSet(), file, nil, 0))
		ast.Inspect(parsed, func(n ast.Node) bool {
			lit, isLit := n.(*ast.BasicLit)
			if !isLit || lit.Kind != token.STRING {
				return true
			}
			highest := 0
			for _, m := range number.FindAllStringSubmatch(lit.Value, -1) {
				i, _ := strconv.Atoi(m[1])
				if i > highest+1 {
					t.Errorf("%s: $%d before $%d in %s", file, i, highest+1, lit.Value)
				}
				highest = max(highest, i)
			}
			if highest > 0 {
				queries++
			}
			for _, banned := range []string{"now()", "current_timestamp", "->", "json_", "or replace", "or ignore", "ifnull", "glob "} {
				if highest > 0 && strings.Contains(strings.ToLower(lit.Value), banned) {
					t.Errorf("%s: %q in %s", file, banned, lit.Value)
				}
			}
			return true
		})
	}
	if queries < 30 {
		t.Errorf("saw %d queries only", queries)
	}
}

// BenchmarkCommit measures accepted events per second, one caller after another and 64 at a time.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			db := sqliteEngine().create(b)
			perCaller := make([][]*prepared, callers)
			worlds := make([]*world, callers)
			streams := make([]evidence.Stream, callers)
			for i := range callers {
				worlds[i] = newWorld(b, db)
				streams[i] = evidence.ItemOf(evidence.NewID[evidence.ItemID]())
			}
			note := attach(ledger.Note, evidence.Hash{}, strings.Repeat("n", 2048))
			for n := range b.N { // signed beforehand: only the records are measured
				w, s := worlds[n%callers], streams[n%callers]
				signed := w.sign(s)
				w.tips[s] = tipOf(signed)
				c := ledger.Commit{Signed: signed, Attachments: []ledger.Attachment{note}}
				perCaller[n%callers] = append(perCaller[n%callers], &prepared{c, rule(signed, newItem(evidence.ItemID(s.ID), "cas-a"))})
			}
			b.ResetTimer()
			var wg sync.WaitGroup
			for _, mine := range perCaller {
				wg.Go(func() {
					for _, j := range mine {
						if _, err := db.Commit(ctx, j.Commit, j.judge); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

type prepared struct {
	ledger.Commit
	judge ledger.Judge
}
