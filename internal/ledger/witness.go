package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// maxAnswer bounds what a witness answers, in bytes: a few lines.
const maxAnswer = 16 << 10

// What a witness may be in trouble with, as codes.
const (
	troubleAddress   = "insecure_address" // it is not asked in the open
	troubleReach     = "unreachable"      // no answer, or none in time
	troubleRefused   = "refused"          // it does not know the log or its key, or is busy
	troubleAnswer    = "answer"           // it answers what no witness does
	troubleSignature = "cosignature"      // its line is missing, or does not verify
	troubleClock     = "clock"            // it signs at another time than ours
	troubleOther     = "other_history"    // it has seen another history of this log
	troubleLonger    = "longer_history"   // it has seen more of this log than there is
)

// witness asks one of the policy's witnesses to cosign (C2SP tlog-witness).
type witness struct {
	*publisher
	*peer
	tlog.Witness
	seenSize int64 // of the newest checkpoint that it has seen, as far as is known
}

func (w *witness) run(ctx context.Context) {
	if !askable(w.URL) {
		w.failed(ctx, w.peer, "witness", &trouble{reason: troubleAddress}, 0)
		return
	}
	for delay := soonAgain; ctx.Err() == nil; {
		row := w.offered()
		// Somebody else may have shown it a newer one of ours: that is published soon.
		if row.Size == 0 || row.Size < w.seenSize || w.cosigned(row) {
			wait(ctx, 0, w.peer.wake)
			continue
		}
		if err := w.ask(ctx, row); err != nil {
			delay = w.failed(ctx, w.peer, "witness", err, delay)
			continue
		}
		delay = soonAgain
	}
}

// askable: over TLS, or on this machine.
func askable(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

func (w *witness) cosigned(row Published) bool {
	c, err := w.policy.Cosigned(row.Note)
	return err == nil && w.among(c.By)
}

func (w *witness) among(by []tlog.Cosignature) bool {
	for _, c := range by {
		if c.Witness.Name == w.Name {
			return true
		}
	}
	return false
}

// ask has the witness cosign a checkpoint, and keeps its line. Where it has seen another size than was thought, it says so and is asked
// again from there, once.
func (w *witness) ask(ctx context.Context, row Published) error {
	for again := true; ; again = false {
		request, err := w.request(ctx, row)
		if err != nil {
			return err
		}
		status, answer, err := w.post(ctx, request)
		if err != nil {
			return err
		}
		switch status {
		case http.StatusOK:
			return w.keep(ctx, row, answer)
		case http.StatusConflict:
			if row.Size == w.seenSize && len(answer) == 0 { // the same size, and not the same root
				return &trouble{reason: troubleOther, alarm: true}
			}
			size, ok := parseSize(answer)
			switch {
			case !ok || size == w.seenSize:
				return &trouble{reason: troubleAnswer, err: errors.New("conflict without another size")}
			case evidence.KindOf(w.covers(ctx, size)) == evidence.Invalid:
				return &trouble{reason: troubleLonger, alarm: true}
			case !again:
				return &trouble{reason: troubleAnswer, err: errors.New("it has seen another size each time")}
			}
			if w.seenSize = size; size > row.Size {
				return nil
			}
		case http.StatusUnprocessableEntity:
			return &trouble{reason: troubleOther, alarm: true}
		case http.StatusNotFound, http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable:
			return &trouble{reason: troubleRefused, err: fmt.Errorf("status %d", status)}
		default:
			return &trouble{reason: troubleAnswer, err: fmt.Errorf("status %d", status)}
		}
	}
}

// request is the body of add-checkpoint: the size it has seen, the proof that the checkpoint extends it, and the checkpoint as the log
// signed it.
func (w *witness) request(ctx context.Context, row Published) ([]byte, error) {
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", w.seenSize)
	if 0 < w.seenSize && w.seenSize < row.Size {
		proof, err := w.cfg.Tree.Consistency(ctx, w.seenSize, row.Size)
		if err != nil {
			return nil, &trouble{reason: "log", err: err}
		}
		for _, hash := range proof {
			body.WriteString(base64.StdEncoding.EncodeToString(hash) + "\n")
		}
	}
	body.WriteByte('\n')
	body.Write(ownLines(row.Note, w.cfg.Origin))
	return body.Bytes(), nil
}

// ownLines is a note with the log's own signatures alone.
func ownLines(note []byte, origin string) []byte {
	text, lines, _ := bytes.Cut(note, []byte("\n\n"))
	return slices.Concat(text, []byte("\n\n"), linesOf(lines, origin))
}

// linesOf are the signature lines of one name.
func linesOf(lines []byte, name string) []byte {
	var own []byte
	for line := range bytes.Lines(lines) {
		if bytes.HasPrefix(line, []byte("— "+name+" ")) {
			own = append(own, line...)
		}
	}
	return own
}

// post sends one request, and reads an answer that is not longer than it can be.
func (w *witness) post(ctx context.Context, body []byte) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return 0, nil, &trouble{reason: troubleAddress}
	}
	response, err := w.http.Do(request)
	if err != nil {
		return 0, nil, &trouble{reason: troubleReach, err: err}
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return 0, nil, &trouble{reason: troubleReach, err: err}
	case len(answer) > maxAnswer:
		return 0, nil, &trouble{reason: troubleAnswer, err: errors.New("too long")}
	}
	return response.StatusCode, answer, nil
}

// parseSize reads a tree size and a line feed, in its one spelling.
func parseSize(answer []byte) (int64, bool) {
	text, ended := strings.CutSuffix(string(answer), "\n")
	size, err := strconv.ParseInt(text, 10, 64)
	return size, ended && err == nil && size >= 0 && size <= tlog.MaxTreeSize && strconv.FormatInt(size, 10) == text
}

// keep checks the witness's own line, and keeps it.
func (w *witness) keep(ctx context.Context, row Published, answer []byte) error {
	lines := linesOf(answer, w.Verifier.Name())
	if len(lines) == 0 {
		return &trouble{reason: troubleSignature, err: errors.New("its line is missing")}
	}
	err := w.change(ctx, row.Size, func(row *Published) error { return w.cosign(ctx, row, lines) })
	if e := (*evidence.Error)(nil); errors.As(err, &e) && e.Kind == evidence.Invalid {
		reason := troubleSignature
		if e.Reason == reasonCosignedAt {
			reason = troubleClock
		}
		return &trouble{reason: reason, err: err}
	}
	if err == nil {
		w.seenSize = row.Size
		w.well()
	}
	return err
}

// Refusals of what somebody cosigned.
const (
	reasonCosignature = "cosignature"      // no line verifies under a key of the policy
	reasonCosignedAt  = "cosignature_time" // its time is before the checkpoint's or ahead of ours, or a witness's after the next one was published
)

// cosign adds the lines that verify under keys of the policy. At least one must, and the time of each must be possible: a wrong one would
// put wrong bounds to the time of every event. So would the right one of a witness who signs what was passed by long ago: to those who bound
// times, this was then still the newest (FORMATS §12). Auditors say no such thing, and come when they can.
func (p *publisher) cosign(ctx context.Context, row *Published, lines []byte) error {
	alone, err := p.policy.Cosign(ownLines(row.Note, p.cfg.Origin), lines)
	if err != nil {
		return evidence.Fail(evidence.Invalid, reasonCosignature, err)
	}
	c, err := p.policy.Cosigned(alone)
	if err != nil || len(c.By) == 0 {
		return evidence.Fail(evidence.Invalid, reasonCosignature, err)
	}
	next, err := p.cfg.Records.NextPublished(ctx, row.Size, Offered, evidence.Hash{})
	passed := err == nil
	if !passed && evidence.KindOf(err) != evidence.NotFound {
		return err
	}
	for _, by := range c.By {
		late := passed && !by.Witness.Auditor && by.Time.After(next.At.Add(skew))
		if late || !p.possible(by.Time, row.At) {
			return evidence.Refuse(evidence.Invalid, reasonCosignedAt)
		}
	}
	row.Note, err = p.policy.Cosign(row.Note, lines)
	return err
}

// possible reports whether somebody's clock can have shown a time between then and now.
func (p *publisher) possible(at, then time.Time) bool {
	return !at.Before(then.Add(-skew)) && !at.After(p.cfg.Now().Add(skew))
}

// Cosign takes the lines with which an auditor or a witness cosigned the published checkpoint of a size, and keeps those that verify. It
// can be repeated. NotFound; Invalid "cosignature", "cosignature_time".
func (l *Ledger) Cosign(ctx context.Context, size int64, lines []byte) error {
	if l.publisher == nil {
		return evidence.Refuse(evidence.NotFound, "checkpoint")
	}
	return l.publisher.change(ctx, size, func(row *Published) error { return l.publisher.cosign(ctx, row, lines) })
}
