package daemon

import (
	"net/url"
	"os"
	"path"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/config"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// Under two servers the records lose what was last: both say that they are not ready and accept nothing, until it is back.
func TestRecordsWentBack(t *testing.T) {
	e, bucket := someEngines(t), bucketServer(t)
	dir, o, c := elsewhere(t, e, objectsConfig(bucket, "evidence"), "metrics: {listen: '127.0.0.1:0'}\n")
	second := another(t, dir)
	a, b := serve(t, dir, o), serve(t, second, o)
	well := wire.Dependencies{Records: wire.DependencyOk, Log: wire.DependencyOk, Objects: wire.DependencyOk}
	a.is(t, 200, well)
	b.is(t, 200, well)
	_, last, err := c.openCase(a.d.parts)
	if err != nil {
		t.Fatal(err)
	}
	index := must(a.d.parts.ledger.Await(t.Context(), last.LeafHash)).Index
	for _, s := range []*serving{a, b} { // and with the publication that covers it the log is at rest
		must(s.d.parts.ledger.Complete(t.Context(), nil, index))
	}
	records := must(url.Parse(strings.TrimSpace(string(must(os.ReadFile(must(config.Read(o.ConfigFile)).Records.PostgreSQL.URLFile))))))
	change := func(statements ...string) {
		t.Helper()
		must(0, e.database.Exec(t.Context(), path.Base(records.Path), "begin; alter table checkpoints disable trigger user; "+
			strings.Join(statements, "; ")+"; alter table checkpoints enable trigger user; commit"))
	}
	change("create table lost as select * from checkpoints where ord > 3", "delete from checkpoints where ord > 3")
	back := well
	back.Records = wire.DependencyDown
	for _, s := range []*serving{a, b} {
		s.is(t, 503, back)
		if n, ok := s.number("accepting_stopped"); !ok || n != 1 {
			t.Errorf("monitoring is told %v", n)
		}
		if _, _, err := c.openCase(s.d.parts); ev.KindOf(err) != ev.Internal || ev.ReasonOf(err) != "log" {
			t.Errorf("an event is accepted: %v", err)
		}
	}
	change("insert into checkpoints select * from lost", "drop table lost")
	for _, s := range []*serving{a, b} {
		s.is(t, 200, well)
		if _, _, err := c.openCase(s.d.parts); err != nil {
			t.Error(err)
		}
		s.close(t)
	}
	clean(t, dir, o)
}
