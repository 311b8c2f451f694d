package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Present is what a process knows without asking anybody. A zero time is told as no number.
type Present struct {
	Size                   int64 // leaves under the newest signed checkpoint
	Stopped                bool  // the records are not the newest of one history with the log: nothing is accepted, signed or released
	FinalBehind            int64 // leaves beyond the newest final one
	FinalWaits             time.Duration
	Witnesses, Authorities []Peer
	Swept                  time.Time // when this process swept last without a failure
	Pools                  []Pool
	CertificateEnds        time.Time // of the one that is shown
}

// Peer is a witness or a time-stamp authority, by the name that the trust file or the configuration gives it.
type Peer struct {
	Name           string
	Signed         time.Time // by its own clock, when it signed last
	Behind         int64     // leaves beyond what it signed
	Failing, Alarm bool
}

// Pool is a pool of connections to the records. What counts is since the start.
type Pool struct {
	Name        string
	InUse, Idle int
	Waits       int64 // for a connection
	Waited      time.Duration
}

// Kept is what stands in the records, the same for all processes of a vault but for Leases and ClockAhead.
type Kept struct {
	Pending       int64 // events that are accepted and not in the log
	OldestPending time.Duration
	HeadsBehind   int64            // leaves beyond what the newest publication of heads covers
	Uploads       int64            // that are open
	UploadBytes   int64            // of their whole sizes
	Late          map[string]int64 // what time has ended and no sweep has taken up, by queue
	Leases        map[string]bool  // by work, whether this process holds it
	Replicas      int              // that are at work; 0 where the vault is no shared one
	ClockAhead    *time.Duration   // of ours, before the records'; nil where those have none
	Scrubbed      time.Time        // when all evidence was read again last
	Damaged       int64            // items that were found damaged or missing then, or since
	Unread        int64            // items that could not be read
}

const (
	keptFresh = 5 * time.Second // in which the records are asked once at most, whoever reads the numbers
	keptTime  = 3 * time.Second // that they may take
)

// Read has the numbers of a vault told whenever metrics are read. kept may be slow or fail: its numbers are left out then. It is called once.
func (t *Telemetry) Read(present func() Present, kept func(context.Context) (Kept, error)) {
	t.registry.MustRegister(&numbers{present: present, kept: kept})
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("strongroom_"+name, help, labels, nil)
}

var (
	logSize            = describe("log_size", "Entries under the newest signed checkpoint.")
	stopped            = describe("accepting_stopped", "1 while the records are not the newest of one history with the log: nothing is accepted, signed or released.")
	pending            = describe("log_pending_events", "Events that are accepted and not in the log yet.")
	oldestPending      = describe("log_oldest_pending_seconds", "How long ago the oldest of them was signed; 0 if there is none.")
	headsBehind        = describe("heads_behind_entries", "Entries that the newest publication of heads does not cover. 1 or 2 at rest: the publications themselves.")
	finalBehind        = describe("final_behind_entries", "Entries beyond the newest final checkpoint.")
	finalWaits         = describe("final_waiting_seconds", "How long the oldest published checkpoint has waited to become final; 0 if none waits.")
	witnessSigned      = describe("witness_last_cosigned_timestamp_seconds", "When a witness or auditor cosigned last, by its clock.", "witness")
	witnessBehind      = describe("witness_behind_entries", "Entries beyond the checkpoint that it cosigned last.", "witness")
	witnessFailing     = describe("witness_failing", "1 while it does not do what it was asked for last.", "witness")
	witnessAlarm       = describe("witness_alarm", "1 since it has seen another history of this log, or a longer one.", "witness")
	authorityStamped   = describe("authority_last_stamped_timestamp_seconds", "When a time-stamp authority stamped a checkpoint last, by its clock.", "authority")
	authorityBehind    = describe("authority_behind_entries", "Entries beyond the checkpoint that it stamped last.", "authority")
	authorityFailing   = describe("authority_failing", "1 while it does not do what it was asked for last.", "authority")
	uploads            = describe("uploads_open", "Uploads that no event has named yet.")
	uploadBytes        = describe("uploads_open_bytes", "The sum of their whole sizes.")
	swept              = describe("sweep_last_success_timestamp_seconds", "When this process swept last. Of the replicas one does.")
	late               = describe("sweep_late_items", "What time has ended and no sweep has taken up.", "queue")
	connections        = describe("records_connections", "Connections to the records, by pool and state.", "pool", "state")
	connectionWaits    = describe("records_connection_waits_total", "How often a connection had to be waited for.", "pool")
	connectionWaited   = describe("records_connection_wait_seconds_total", "How long connections were waited for.", "pool")
	leaseHeld          = describe("lease_held", "1 if this process does the work that one replica does for all.", "work")
	replicas           = describe("replicas", "Replicas that are at work; 0 where the vault is no shared one.")
	clockAhead         = describe("records_clock_ahead_seconds", "By how much the clock of this machine is before the one of the records.")
	certificateEnds    = describe("certificate_expiry_timestamp_seconds", "When the certificate ends that this process shows.")
	scrubbed           = describe("scrub_last_success_timestamp_seconds", "When all evidence had been read again last.")
	scrubDamaged       = describe("scrub_damaged_items", "Items that the newest scrub found damaged or missing.")
	scrubUnread        = describe("scrub_unread_items", "Items that the newest scrub could not read.")
	recordsUnanswering = describe("records_numbers_missing", "1 if the numbers that stand in the records could not be read in time: they are left out then.")
)

var all = []*prometheus.Desc{
	logSize, stopped, pending, oldestPending, headsBehind, finalBehind, finalWaits, witnessSigned, witnessBehind, witnessFailing, witnessAlarm,
	authorityStamped, authorityBehind, authorityFailing, uploads, uploadBytes, swept, late, connections, connectionWaits, connectionWaited,
	leaseHeld, replicas, clockAhead, certificateEnds, scrubbed, scrubDamaged, scrubUnread, recordsUnanswering,
}

// numbers is a prometheus.Collector.
type numbers struct {
	present func() Present
	kept    func(context.Context) (Kept, error)

	mu     sync.Mutex    // guards what follows
	asking chan struct{} // closed when the answer is there; nil if nobody asks
	asked  time.Time
	last   Kept
	failed error
}

func (n *numbers) Describe(out chan<- *prometheus.Desc) {
	for _, d := range all {
		out <- d
	}
}

func (n *numbers) Collect(out chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
	}
	when := func(d *prometheus.Desc, t time.Time, labels ...string) {
		if !t.IsZero() {
			tell(d, float64(t.UnixMilli())/1000, labels...)
		}
	}
	p := n.present()
	tell(logSize, float64(p.Size))
	tell(stopped, truth(p.Stopped))
	tell(finalBehind, float64(p.FinalBehind))
	tell(finalWaits, p.FinalWaits.Seconds())
	for _, w := range p.Witnesses {
		when(witnessSigned, w.Signed, w.Name)
		tell(witnessBehind, float64(w.Behind), w.Name)
		tell(witnessFailing, truth(w.Failing), w.Name)
		tell(witnessAlarm, truth(w.Alarm), w.Name)
	}
	for _, a := range p.Authorities {
		when(authorityStamped, a.Signed, a.Name)
		tell(authorityBehind, float64(a.Behind), a.Name)
		tell(authorityFailing, truth(a.Failing), a.Name)
	}
	when(swept, p.Swept)
	for _, pool := range p.Pools {
		tell(connections, float64(pool.InUse), pool.Name, "in_use")
		tell(connections, float64(pool.Idle), pool.Name, "idle")
		count(connectionWaits, float64(pool.Waits), pool.Name)
		count(connectionWaited, pool.Waited.Seconds(), pool.Name)
	}
	when(certificateEnds, p.CertificateEnds)

	k, err := n.read()
	tell(recordsUnanswering, truth(err != nil))
	if err != nil {
		return
	}
	tell(pending, float64(k.Pending))
	tell(oldestPending, k.OldestPending.Seconds())
	tell(headsBehind, float64(k.HeadsBehind))
	tell(uploads, float64(k.Uploads))
	tell(uploadBytes, float64(k.UploadBytes))
	for queue, items := range k.Late {
		tell(late, float64(items), queue)
	}
	for work, held := range k.Leases {
		tell(leaseHeld, truth(held), work)
	}
	tell(replicas, float64(k.Replicas))
	if k.ClockAhead != nil {
		tell(clockAhead, k.ClockAhead.Seconds())
	}
	when(scrubbed, k.Scrubbed)
	tell(scrubDamaged, float64(k.Damaged))
	tell(scrubUnread, float64(k.Unread))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// read asks the records, or returns what they answered a moment ago. While an answer is late nobody else asks: a scrape costs the records one
// reading at most, however they are.
func (n *numbers) read() (Kept, error) {
	n.mu.Lock()
	if n.asking == nil && (n.asked.IsZero() || time.Since(n.asked) >= keptFresh) {
		n.asking = make(chan struct{})
		go n.ask(n.asking)
	}
	asking := n.asking
	n.mu.Unlock()
	if asking != nil {
		select {
		case <-asking:
		case <-time.After(keptTime):
			return Kept{}, context.DeadlineExceeded
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last, n.failed
}

func (n *numbers) ask(answered chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), keptTime)
	defer cancel()
	kept, err := n.kept(ctx)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last, n.failed, n.asked, n.asking = kept, err, time.Now(), nil
	close(answered)
}
