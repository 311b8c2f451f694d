package daemon

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/translog/remote"
)

// An operator puts back an older copy of the database, or names another log: whichever of the two is behind the other, or behind what was
// signed, nothing is written, and nothing is signed a second time.
func TestOlderEngines(t *testing.T) {
	e := someEngines(t)
	dir, o, c := elsewhere(t, e)
	f, ctx := folder(dir), t.Context()
	used := func() {
		t.Helper()
		p := must(open(ctx, dir, o))
		if _, _, err := c.openCase(p); err != nil {
			t.Fatal(err)
		}
		must(0, p.settle(ctx))
		must(0, p.close())
	}
	refused := func(what, where string, o Options) {
		t.Helper()
		p, err := open(ctx, dir, o)
		var m *ledger.Mismatch
		if !errors.As(err, &m) || m.Where != where {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil {
			must(0, p.close())
		}
	}
	used()
	server := must(url.Parse(strings.TrimSpace(string(must(os.ReadFile(must(config.Read(o.ConfigFile)).Records.PostgreSQL.URLFile))))))
	newest := strings.TrimPrefix(server.Path, "/")
	must(0, e.database.Exec(ctx, "postgres", fmt.Sprintf(`create database %s_older template %s`, newest, newest)))
	then := must(os.ReadFile(f.checkpoint()))
	used()

	server.Path += "_older"
	back := o
	back.ConfigFile = written(t, e.recordsConfig(written(t, server.String()))+e.logConfig())
	count := func() (n int) {
		db := must(sqldb.OpenPostgres(ctx, server.String()))
		defer db.Close()
		return len(must(db.Events(ctx, 0, 1000)))
	}
	before := count()
	refused("older records", "records", back)
	kept := must(os.ReadFile(f.checkpoint()))
	must(0, os.Remove(f.checkpoint()))
	refused("older records, and no checkpoint apart", "checkpoint file", back)
	// With the checkpoint file of then only the log knows better.
	must(0, os.WriteFile(f.checkpoint(), then, 0o600))
	refused("older records and checkpoint", "records", back)
	if n := count(); n != before {
		t.Errorf("%d events were written over an older copy", n-before)
	}
	must(0, os.WriteFile(f.checkpoint(), kept, 0o600))

	at := must(trillian(config.Trillian{Address: e.log.Address(), CAFile: e.log.CA}, 0))
	s := must(f.readSettings())
	right := s.Tree
	s.Tree = must(remote.Create(ctx, at, newest))
	must(0, os.WriteFile(f.settings(), s.marshal(), 0o600))
	refused("an empty log", "log", o)
	s.Tree = right
	must(0, os.WriteFile(f.settings(), s.marshal(), 0o600))
	used()
	clean(t, dir, o)
}
