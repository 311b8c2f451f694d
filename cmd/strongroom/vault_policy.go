package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// limit is one length of time of the vault's policy.
type limit struct {
	flag, text string
	of         func(*evidence.VaultPolicy) *int64
}

var limits = []limit{
	{"confirm-wait", "from a custodian's confirmation until a change counts", func(p *evidence.VaultPolicy) *int64 { return &p.ConfirmWait }},
	{"decision-time", "to decide what becomes of items after a withdrawal", func(p *evidence.VaultPolicy) *int64 { return &p.DecisionTime }},
	{"bin-wait", "in the bin before an item is made unreadable", func(p *evidence.VaultPolicy) *int64 { return &p.BinWait }},
	{"withdrawal-wait", "the same, after a withdrawal", func(p *evidence.VaultPolicy) *int64 { return &p.WithdrawalWait }},
	{"review-time", "to review an emergency opening", func(p *evidence.VaultPolicy) *int64 { return &p.ReviewTime }},
	{"hold-time", "until a legal duty that nobody confirmed lapses", func(p *evidence.VaultPolicy) *int64 { return &p.HoldTime }},
	{"backup-horizon", "until the last backup of a destroyed key has expired", func(p *evidence.VaultPolicy) *int64 { return &p.BackupHorizon }},
}

const day = 24 * 60 * 60 // seconds

// length reads a length of time with its unit, in seconds.
func length(s string) (int64, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil && n <= evidence.MaxWait/day {
			return int64(n) * day, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d >= 0 && d <= evidence.MaxWait*time.Second && d%time.Second == 0 {
		return int64(d / time.Second), nil
	}
	return 0, usage("a length of time has a unit, and is ten years at most: 14d, 72h, 30m, 90s")
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }

func recoveryNumber(recipient string) string {
	return tlog.SixGroups(evidence.Fingerprint(nil, recipient))
}

func organizations(two bool) string {
	if two {
		return "of another organization"
	}
	return "another person, of whatever organization"
}

// changesOf says what another configuration changes. Its version and builds are the vault's to name.
func changesOf(from, to evidence.VaultConfiguredDetails) (list []string) {
	for _, l := range limits {
		if a, b := *l.of(&from.Policy), *l.of(&to.Policy); a != b {
			list = append(list, fmt.Sprintf("%s from %s to %s: %s", l.flag, shortly(a), shortly(b), l.text))
		}
	}
	if from.Policy.TwoOrganizations != to.Policy.TwoOrganizations {
		list = append(list, "second persons are "+organizations(to.Policy.TwoOrganizations))
	}
	if from.Recovery != to.Recovery {
		list = append(list, "recovery key from "+recoveryNumber(from.Recovery)+"\nto "+recoveryNumber(to.Recovery))
	}
	for _, other := range []struct {
		same bool
		what string
	}{{from.Rules == to.Rules, fmt.Sprintf("the version of the rules, from %d to %d", from.Rules, to.Rules)},
		{slices.Equal(from.LogKeys, to.LogKeys), "the keys of the record book, to those with these numbers:\n" + strings.Join(keyNumbers(to.LogKeys), "\n")},
		{from.Witness == to.Witness, "the witnesses of the record book, to:\n" + cmp.Or(strings.Join(tlog.PolicyLines(to.Witness), "\n"), "nobody")},
		{slices.Equal(from.TimestampRoots, to.TimestampRoots), "the roots of time stamps, to those with these numbers:\n" + strings.Join(rootNumbers(to.TimestampRoots), "\n")}} {
		if !other.same {
			list = append(list, other.what)
		}
	}
	return list
}

// keyNumbers are how people compare keys of the record book, as strongroomd rotate plan prints them.
func keyNumbers(keys []string) (list []string) {
	for _, key := range keys {
		der, _ := base64.StdEncoding.DecodeString(key)
		list = append(list, tlog.SixGroups(tlog.Hash(evidence.SHA256(der))))
	}
	return list
}

func rootNumbers(roots []evidence.Hash) (list []string) {
	for _, root := range roots {
		list = append(list, tlog.SixGroups(tlog.Hash(root)))
	}
	return list
}

// planned is what strongroomd rotate plan wrote, as far as it is proposed.
type planned struct {
	LogKeys []string        `json:"log_keys"`
	Witness string          `json:"witness"`
	Roots   []evidence.Hash `json:"roots"`
}

func readPlan(name string) (p planned, err error) {
	f, err := os.Open(name)
	if err != nil {
		return p, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return p, err
	}
	if json.Unmarshal(text, &p) != nil || len(p.LogKeys) == 0 {
		return p, cannot("rotation_file", nil)
	}
	return p, nil
}

// changeRows are changes, a row each.
func changeRows(label string, from, to evidence.VaultConfiguredDetails) (rows []row) {
	for _, text := range changesOf(from, to) {
		rows = append(rows, row{label, text})
	}
	if from.Recovery != to.Recovery {
		rows = append(rows, row{"Keyrings", "Once the new recovery key counts, each case must follow: deposits wait until who manages it has run " +
			"strongroom case keyring CASE --recovery; then a keyholder runs strongroom case rewrap CASE, which gives every item to the new recovery key."})
	}
	return orNone(rows, "Nothing changes.")
}

func policyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "policy",
		Short: "Show the vault's limits, and what is to change",
		Long: `Shows the limits that are in force, the number of the recovery key, and what
waits: what it changes, and from when it counts. All of it from the checked
history of the vault, proved to be complete.

Signs:     nothing.`,
		Example: `  strongroom vault policy`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			p, err := cl.Policy(c.Context())
			if err != nil {
				return err
			}
			return a.showPolicy(p)
		},
	}
}

func (a *app) showPolicy(p client.Policy) error {
	now := p.Configuration()
	var rows []row
	for _, l := range limits {
		rows = append(rows, row{"Limit", fmt.Sprintf("%s: %s %s", l.flag, shortly(*l.of(&now.Policy)), l.text)})
	}
	rows = append(rows, row{"Second", "A second person is " + organizations(now.Policy.TwoOrganizations) + "."},
		row{"Recovery", recoveryNumber(now.Recovery)}, row{"Program", now.Version}, row{"Rules", fmt.Sprintf("version %d%s", now.Rules, newerRules(now.Rules))})
	if !p.Now.Restored.IsZero() {
		rows = append(rows, row{"Restored", "The vault waits for a custodian: strongroom vault confirm"})
	}
	var waiting fields
	if w := p.Waiting; w != nil {
		waiting = fields{"event": w.Event, "by": w.By, "configuration": w.Details, "effective": w.Effective}
		rows = append(append(rows, changeRows("Waits", now, w.Details)...), row{"From", whenCounts(p)})
	} else {
		rows = append(rows, row{"Waits", "nothing"})
	}
	return a.show(fields{"in_force": now, "waiting": waiting, "complete_to": p.Time}, append(rows, row{"Complete", "to " + dateOf(p.Time)})...)
}

// newerRules says that there is a newer version than the vault's.
func newerRules(version int64) string {
	if version < evidence.RulesVersion {
		return fmt.Sprintf("; this program knows version %d: strongroom vault configure --newest-rules", evidence.RulesVersion)
	}
	return ""
}

// whenCounts says from when what waits counts.
func whenCounts(p client.Policy) string {
	if p.Waiting.Effective != 0 {
		return dateOf(p.Waiting.Effective)
	}
	return shortly(p.Now.Policy.ConfirmWait) + " after a custodian confirms it: strongroom vault confirm"
}

func configureCommand(a *app) *cobra.Command {
	given := make(map[string]*string)
	var recovery, rotation string
	var two, newest, keep, yes bool
	c := &cobra.Command{
		Use:   "configure",
		Short: "Change the vault's limits, its recovery key, or what its record book stands on",
		Long: `Changes what you name, and nothing else; shows all of it before you sign. You
type "configure".

Nobody changes them alone, in whatever direction: a change waits for a custodian
(strongroom vault confirm), and then for the time of confirm-wait that was in
force. It takes the place of one that waits. --keep takes back what waits.

A vault goes on by the version of the rules that it was founded with until
--newest-rules. That second persons are of two organizations is confirmed by a
custodian of another organization than yours.

Lengths of time have a unit: 14d, 72h, 30m.

--rotation proposes other keys of the record book, witnesses or roots of time
stamps, as the operator planned them (strongroomd rotate). Compare the numbers
that you are shown with those that the operator reads to you.

After another recovery key counts, each case follows: who manages it runs
  strongroom case keyring CASE --recovery
and a keyholder strongroom case rewrap CASE.

Signs:     vault.configured, as an administrator.
For good:  the entry stays, for everybody of the vault to see.`,
		Example: `  strongroom vault configure --bin-wait 30d
  strongroom vault configure --review-time 48h --two-organizations
  strongroom vault configure --keep`,
		Args: cobra.NoArgs,
	}
	f := c.Flags()
	names := []string{"two-organizations", "recovery", "rotation", "newest-rules", "keep"}
	for _, l := range limits {
		given[l.flag] = f.String(l.flag, "", "a `LENGTH` "+l.text)
		names = append(names, l.flag)
	}
	f.BoolVar(&two, "two-organizations", false, "second persons are of another organization (=false: of any)")
	f.StringVar(&recovery, "recovery", "", "the `RECIPIENT` (age1pq1…) of another recovery key, kept offline")
	f.StringVar(&rotation, "rotation", "", "the `FILE` rotation.json that strongroomd rotate plan wrote")
	f.BoolVar(&newest, "newest-rules", false, "go on by the newest version of the rules")
	f.BoolVar(&keep, "keep", false, "take back what waits: everything stays as it is")
	f.BoolVar(&yes, "yes", false, "do not ask; for scripts")
	c.MarkFlagsOneRequired(names...)
	for _, name := range names {
		if name != "keep" {
			c.MarkFlagsMutuallyExclusive("keep", name)
		}
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		lengths := make(map[string]int64)
		for _, l := range limits {
			if !f.Changed(l.flag) {
				continue
			}
			n, err := length(*given[l.flag])
			if err != nil {
				return err
			}
			lengths[l.flag] = n
		}
		var plan planned
		if rotation != "" {
			var err error
			if plan, err = readPlan(rotation); err != nil {
				return err
			}
		}
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		p, err := cl.Policy(c.Context())
		if err != nil {
			return err
		}
		if keep && p.Waiting == nil {
			return evidence.Refuse(evidence.NotFound, evidence.ReasonProposal)
		}
		d := p.Configuration()
		for _, l := range limits {
			if n, ok := lengths[l.flag]; ok {
				*l.of(&d.Policy) = n
			}
		}
		if f.Changed("two-organizations") {
			d.Policy.TwoOrganizations = two
		}
		if recovery != "" {
			d.Recovery = recovery
		}
		if rotation != "" {
			d.LogKeys, d.Witness, d.TimestampRoots = plan.LogKeys, plan.Witness, plan.Roots
		}
		if newest {
			d.Rules = evidence.RulesVersion
		}
		waits := p.Now.Waits(&d)
		if err := a.consent(yes, "configure", configureRows(p, d, waits)...); err != nil {
			return err
		}
		r, err := cl.Configure(c.Context(), p, d)
		if err != nil {
			return err
		}
		next := row{"Counts", "at once"}
		if waits {
			next = row{"Waits", "for a custodian: strongroom vault confirm. It counts " + shortly(p.Now.Policy.ConfirmWait) + " after that."}
		}
		return a.recorded(r, fields{"waits": waits, "configuration": d}, next)
	}
	return c
}

// configureRows are what an administrator is shown before signing.
func configureRows(p client.Policy, d evidence.VaultConfiguredDetails, waits bool) []row {
	now := p.Configuration()
	rows := append([]row{{"If you go on", ""}}, changeRows("Changes", now, d)...)
	counts := "at once"
	if waits {
		counts = "Nothing changes until a custodian has confirmed it, and then " + shortly(p.Now.Policy.ConfirmWait) + " pass: until " +
			dateOf(p.Time.Add(seconds(p.Now.Policy.ConfirmWait))) + " at least."
	}
	rows = append(rows, row{"Counts", counts})
	if w := p.Waiting; w != nil {
		rows = append(rows, row{"Ends", "What waits will not come into force:"})
		rows = append(rows, changeRows("", now, w.Details)...)
	}
	return append(rows, row{"For good", "The entry stays, for everybody of the vault to see."})
}
