package daemon

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A vault keeps the records and the log that it was made with, and no other vault takes them.
func TestKeepsItsEngines(t *testing.T) {
	e := someEngines(t)
	dir, o, c := elsewhere(t, e)
	server := must(folder(dir).readConfig(o.ConfigFile)).Records.PostgreSQL.URLFile
	origin := must(folder(dir).readSettings()).Origin
	with := func(text string) Options {
		o := o
		o.ConfigFile = written(t, text)
		return o
	}
	for name, test := range map[string]struct {
		text string
		want error
	}{
		"nothing":        {"", ErrNoRecords},
		"no log":         {e.recordsConfig(server), ErrNoLog},
		"no records":     {e.logConfig(), ErrNoRecords},
		"another server": {e.recordsConfig(server) + strings.Replace(e.logConfig(), e.log.CA, server, 1), nil},
	} {
		if p, err := open(t.Context(), dir, with(test.text)); err == nil || test.want != nil && !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
			must(0, p.close())
		}
	}
	if p, err := open(t.Context(), made(t), o); !errors.Is(err, ErrNoRecords) {
		t.Errorf("a vault in a folder: %v", err)
		must(0, p.close())
	}

	// Another vault's database is not taken, nor is its log; and nothing is made.
	other := filepath.Join(t.TempDir(), "other")
	if _, err := Create(t.Context(), other, "", o); !errors.Is(err, ErrRecordsTaken) {
		t.Errorf("a second vault in the same database: %v", err)
	}
	if _, err := Create(t.Context(), other, origin, with(e.logConfig())); !errors.Is(err, ErrLogTaken) {
		t.Errorf("a second vault of the same name: %v", err)
	}
	if _, err := os.Stat(folder(other).settings()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
	// Of two vaults made for one empty database the first that is founded has it.
	owner, empty := e.newDatabase(t)
	must(0, MigrateRecords(t.Context(), owner, "strongroom"))
	both, late := with(e.recordsConfig(empty)), filepath.Join(t.TempDir(), "late")
	use := func(set *Options) { *set = both }
	_, first := unfounded(other, use)
	_, second := unfounded(late, use)
	must(Found(t.Context(), other, both, first))
	if _, err := Found(t.Context(), late, both, second); !errors.Is(err, ErrRecordsTaken) {
		t.Errorf("the second: %v", err)
	}
	clean(t, other, both)

	// Other keys of the log come as they do to a vault in a folder.
	plan := must(PlanRotation(t.Context(), dir, o, Change{NewLogKeys: true}))
	must(FinishRotation(t.Context(), dir, c.decided(t, dir, plan, o)))
	clean(t, dir, o)

	// What makes and takes files says what does it instead.
	if _, err := Backup(t.Context(), dir, o, BackupOptions{To: t.TempDir(), Keep: 1}); !errors.Is(err, ErrEngines) {
		t.Errorf("backup: %v", err)
	}
	if _, err := Rebuild(t.Context(), dir, o, nil); !errors.Is(err, ErrEngines) {
		t.Errorf("rebuild: %v", err)
	}
	address := must(url.Parse(strings.TrimSpace(string(must(os.ReadFile(server))))))
	must(0, e.database.Exec(t.Context(), address.Path[1:], `alter table inclusions drop constraint inclusions_idx_key`))
	found := 0
	must(Fsck(t.Context(), dir, o, func(d Damage) {
		if found++; !strings.Contains(d.Do, "PostgreSQL's own tools") || strings.Contains(d.Do, "rebuild") {
			t.Errorf("of damaged records: %+v", d)
		}
	}))
	if found == 0 {
		t.Error("damaged records were not noticed")
	}
	embedded, to := must(open(t.Context(), made(t), testOptions())), filepath.Join(t.TempDir(), "backup")
	backedUp(t, embedded, to)
	must(0, embedded.close())
	r := Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), None: true}
	if _, err := Restore(t.Context(), r, o, func(Damage) {}); !errors.Is(err, ErrEngines) {
		t.Errorf("restore: %v", err)
	}
	if _, err := os.Stat(r.Data + restoring); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("restore began: %v", err)
	}
}
