package daemon

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
)

// number reads one of the numbers that a served vault tells monitoring; ok is false if it is not told.
func (s *serving) number(name string) (value float64, ok bool) {
	resp, err := http.Get(fmt.Sprintf("http://%s/metrics", s.d.parts.options.monitoring.listener.Addr()))
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta("strongroom_"+name) + ` (.+)$`).FindSubmatch(text)
	if found == nil {
		return 0, false
	}
	value, err = strconv.ParseFloat(string(found[1]), 64)
	return value, err == nil
}

// TestMonitored: what monitoring is told of a shared vault while its signer and its database are stopped, and after.
func TestMonitored(t *testing.T) {
	e, gateway := someEngines(t), bucketServer(t)
	dir, o, c := elsewhere(t, e, objectsConfig(gateway, "monitored"), "metrics: {listen: '127.0.0.1:0'}\n")
	s := serve(t, dir, o)
	p := s.d.parts
	told := func(what string, holds func(float64) bool) {
		t.Helper()
		until(t, what, func() bool {
			value, ok := s.number(what)
			return ok && holds(value)
		})
	}
	is := func(want float64) func(float64) bool { return func(v float64) bool { return v == want } }
	some := func(v float64) bool { return v > 0 }
	in, _, err := c.openCase(p)
	must(0, err)
	told("log_pending_events", is(0))
	told("log_oldest_pending_seconds", is(0))
	told("log_size", some)
	told(`lease_held{work="log"}`, is(1))
	told(`lease_held{work="sweep"}`, is(1))
	told("replicas", is(1))
	told("sweep_last_success_timestamp_seconds", some)
	told("certificate_expiry_timestamp_seconds", func(v float64) bool { return v > float64(time.Now().Unix()) })
	told("records_clock_ahead_seconds", func(v float64) bool { return v > -60 && v < 60 })
	told("final_waiting_seconds", is(0))

	e.log.Signer.Kill()
	deposit := func() (ev.ItemID, bool) {
		item, _, err := c.deposit(p, in, 5_000)
		return item, err == nil
	}
	if _, accepted := deposit(); !accepted {
		t.Error("without a signer nothing is accepted")
	}
	told("log_pending_events", some)
	told("log_oldest_pending_seconds", some)
	must(0, e.log.Signer.Run(t.Context()))
	told("log_pending_events", is(0))
	told("log_oldest_pending_seconds", is(0))

	must(0, e.database.Stop())
	told("records_numbers_missing", is(1))
	if _, ok := s.number("log_pending_events"); ok {
		t.Error("without records their numbers are told")
	}
	told("log_size", some)
	faults := func(part string) (sum float64) {
		resp, err := http.Get(fmt.Sprintf("http://%s/metrics", p.options.monitoring.listener.Addr()))
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		for _, f := range regexp.MustCompile(`(?m)^strongroom_part_faults_total{.*part="`+part+`"} (.+)$`).FindAllStringSubmatch(string(text), -1) {
			n, _ := strconv.ParseFloat(f[1], 64)
			sum += n
		}
		return sum
	}
	until(t, "faults of the records", func() bool { return faults("records") > 0 })
	must(0, e.database.Run(t.Context()))
	told("records_numbers_missing", is(0))
	told("log_pending_events", is(0))

	look := func() error {
		_, _, err := watchedObjects{p.objects}.Stat(p.options.monitoring.Watched(t.Context()), objects.Digest{})
		return err
	}
	if err := look(); !errors.Is(err, objects.ErrNotFound) || faults("objects") != 0 {
		t.Errorf("what is not there: %v, %v faults", err, faults("objects"))
	}
	gateway.Kill()
	if err := look(); err == nil || faults("objects") != 1 {
		t.Errorf("without a bucket: %v, %v faults", err, faults("objects"))
	}
	s.close(t)
	if _, ok := s.number("log_size"); ok {
		t.Error("numbers are told after the end")
	}
}

// TestMonitoringTaken: a server that cannot tell its numbers does not start without them.
func TestMonitoringTaken(t *testing.T) {
	dir := made(t)
	o := testOptions()
	o.ConfigFile = written(t, "metrics: {listen: '127.0.0.1:0'}\n")
	s := serve(t, dir, o)
	o.ConfigFile = written(t, fmt.Sprintf("metrics: {listen: %q}\n", s.d.parts.options.monitoring.listener.Addr()))
	if d, err := Open(t.Context(), t.TempDir(), o); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v, %v", d, err)
	}
	s.close(t)
}
