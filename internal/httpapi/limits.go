package httpapi

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/evidence"
)

// pace is how often one caller may ask: burst requests at once, then so many a second.
type pace struct {
	perSecond rate.Limit
	burst     int
}

// The limits. Each request here makes the vault write durably, or check a signature, before it knows what for; the embedded records take
// some 1,500 writes a second in all. Who comes too often loses nothing but the time that Retry-After says.
//
// Nothing is counted by the actor whom a sign-in only claims: anybody could lock anybody out. Signatures and secrets of 128 bits are not
// guessed, so that limits need not be low. Signed events are not counted: each is signed by who would be answerable for the flood. Bytes
// of uploads are bounded by the quota (vault.Limits).
var (
	// By address, because nobody is known yet. A hospital of two thousand is one address: 250 people may sign in within the same second,
	// two requests each, and 12 a second from then on. That is a fiftieth of what the records can write.
	signInLimit = pace{perSecond: 25, burst: 500}
	// By address: an enrolment asks three times. A hundred people may enrol in the same minute of a training.
	enrolLimit = pace{perSecond: 5, burst: 300}
	// By actor: an administrator may invite a department in one go.
	inviteLimit = pace{perSecond: 1, burst: 200}
	// By actor: a file costs two writes here, its creation and its bytes. 10,000 small files in a row go through at 200 a second, beyond
	// what sealing them in a client and logging their deposits allow; at the limit they would merely be spaced.
	uploadLimit = pace{perSecond: 400, burst: 4000}
	// By address, and of the heads map by actor: a page of 8,192 entries takes the records some 50 ms. Two million entries are read in one
	// go, what comes beyond at half of what one core can do; who follows asks for a page or two at a time. Statements by actor, a thousand
	// on a page: a million of them in a minute and a quarter.
	logReadLimit = pace{perSecond: 10, burst: 250}
	// By address: an auditor cosigns a checkpoint a second at most. Each line is verified, which for ML-DSA takes a tenth of a millisecond.
	cosignLimit = pace{perSecond: 2, burst: 60}
)

// maxBuckets bounds each table, to about 3 MB. Callers who find no room share one bucket: a flood from everywhere is limited as a whole,
// and who was there before is not part of it.
const maxBuckets = 1 << 14

// Shared counts requests for all processes that serve one vault. Satisfied by *sqldb.DB.
type Shared interface {
	// Take counts one request under a key that may make burst at once and one every so often, and returns how long to wait if it may not.
	Take(ctx context.Context, key evidence.Hash, every time.Duration, burst int, now time.Time) (wait time.Duration, err error)
}

const (
	sharedWait  = 2 * time.Second // for what all processes count; then it counts as failed
	sharedAgain = time.Minute     // between two words about that
)

// limiter counts requests. What is in no table is not limited. A request that this process's own buckets let through is counted for all
// processes too: a flood reaches the records no faster than that. While the records fail the own buckets go on, and nobody is locked out.
type limiter struct {
	now       func() time.Time
	proxies   []netip.Prefix
	shared    Shared // nil: this is the only process
	logger    *slog.Logger
	told      atomic.Int64 // when it was said last that the records fail, in microseconds
	byAddress map[auth.Action]*buckets[netip.Prefix]
	byActor   map[auth.Action]*buckets[evidence.ActorID]
}

func newLimiter(cfg *Config) *limiter {
	signIn, enrol := newBuckets[netip.Prefix]("sign_in", signInLimit), newBuckets[netip.Prefix]("enrol", enrolLimit)
	invite, upload := newBuckets[evidence.ActorID]("invite", inviteLimit), newBuckets[evidence.ActorID]("upload", uploadLimit)
	leaves, keys := newBuckets[netip.Prefix]("leaves", logReadLimit), newBuckets[evidence.ActorID]("heads", logReadLimit)
	return &limiter{now: cfg.Now, proxies: cfg.TrustedProxies, shared: cfg.Shared, logger: cfg.Logger,
		byAddress: map[auth.Action]*buckets[netip.Prefix]{
			"createChallenge": signIn, "signIn": signIn, "getInvitationTerms": enrol, "answerInvitation": enrol,
			"getLogLeaves": leaves, "listRevocations": leaves, "cosign": newBuckets[netip.Prefix]("cosign", cosignLimit),
		},
		byActor: map[auth.Action]*buckets[evidence.ActorID]{
			"createInvitation": invite, "createUpload": upload, "appendUpload": upload, "dropUpload": upload,
			"getLogHeads": keys, "getLogStatements": newBuckets[evidence.ActorID]("statements", logReadLimit),
		},
	}
}

// reasonOften is the refusal of a request that comes too soon. Its cause is an after.
const reasonOften = "too_often"

// after is how long to wait.
type after time.Duration

func (a after) Error() string { return "too soon by " + time.Duration(a).String() }

// seconds is for Retry-After: whole, and not too few.
func (a after) seconds() int { return int(math.Ceil(time.Duration(a).Seconds())) }

func (l *limiter) address(ctx context.Context, r *http.Request, action auth.Action) error {
	b := l.byAddress[action]
	if b == nil {
		return nil
	}
	from := network(clientAddress(r, l.proxies))
	return l.count(ctx, b.take(from, l.now()), b.name, b.pace, from.String())
}

func (l *limiter) actor(ctx context.Context, id evidence.ActorID, action auth.Action) error {
	b := l.byActor[action]
	if b == nil {
		return nil
	}
	return l.count(ctx, b.take(id, l.now()), b.name, b.pace, string(id))
}

// count counts a request for all processes if this one has let it through. The records get a digest, which is gone once the caller's burst is
// whole again, minutes later: no address is written down.
func (l *limiter) count(ctx context.Context, wait time.Duration, name string, p pace, caller string) error {
	if wait > 0 || l.shared == nil {
		return often(wait)
	}
	now := l.now()
	short, cancel := context.WithTimeout(ctx, sharedWait)
	defer cancel()
	key := evidence.SHA256([]byte(name + "\x00" + caller))
	wait, err := l.shared.Take(short, key, time.Duration(float64(time.Second)/float64(p.perSecond)), p.burst, now)
	if err == nil {
		return often(wait)
	}
	told := l.told.Load()
	if since := now.Sub(time.UnixMicro(told)); (since >= sharedAgain || since < 0) && ctx.Err() == nil && l.told.CompareAndSwap(told, now.UnixMicro()) {
		l.logger.WarnContext(ctx, "limits_not_shared", "reason", evidence.ReasonOf(err), "err", err)
	}
	return nil
}

func often(wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	return evidence.Fail(evidence.TooMany, reasonOften, after(wait))
}

// clientAddress is where a request comes from: the other end of the connection or, if that is a trusted proxy, the last address in
// X-Forwarded-For that is not one. What a client wrote there itself stands before that and counts for nothing.
func clientAddress(r *http.Request, proxies []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := plain(peer.Addr())
	// A proxy may add a line of its own instead of going on in the client's: all lines count, in their order.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(hops) {
		hop, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || !among(at, proxies) {
			break
		}
		at = plain(hop)
	}
	return at
}

func among(a netip.Addr, networks []netip.Prefix) bool {
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// network is what counts as one address: of IPv6 a /64, which is the least that one customer gets.
func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits) // the zero address has the zero prefix
	return p
}

// buckets are one limit's token buckets by caller.
type buckets[K comparable] struct {
	name string // of the limit
	pace

	mu     sync.Mutex
	known  map[K]*rate.Limiter
	shared *rate.Limiter
	swept  time.Time
}

func newBuckets[K comparable](name string, p pace) *buckets[K] {
	return &buckets[K]{name: name, pace: p, known: make(map[K]*rate.Limiter), shared: rate.NewLimiter(p.perSecond, p.burst)}
}

// take takes a token from k's bucket, or returns how long it takes until there is one.
func (b *buckets[K]) take(k K, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket := b.of(k, now)
	if bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - bucket.TokensAt(now)
	return time.Duration(missing / float64(b.perSecond) * float64(time.Second))
}

func (b *buckets[K]) of(k K, now time.Time) *rate.Limiter {
	if bucket := b.known[k]; bucket != nil {
		return bucket
	}
	b.sweep(now)
	if len(b.known) >= maxBuckets {
		return b.shared
	}
	bucket := rate.NewLimiter(b.perSecond, b.burst)
	b.known[k] = bucket
	return bucket
}

// sweep forgets full buckets, which are as good as new ones, once in the time in which every bucket fills.
func (b *buckets[K]) sweep(now time.Time) {
	fill := time.Duration(float64(b.burst) / float64(b.perSecond) * float64(time.Second))
	if since := now.Sub(b.swept); since >= 0 && since < fill {
		return
	}
	b.swept = now
	for k, bucket := range b.known {
		if bucket.TokensAt(now) >= float64(b.burst) {
			delete(b.known, k)
		}
	}
}
