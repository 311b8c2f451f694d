package evidence

import (
	"cmp"
	"slices"
	"strings"
)

// MaxWait bounds every waiting time of the policy, in seconds: ten years.
const MaxWait = 10 * 366 * 24 * 3600

func (p *VaultPolicy) check() error {
	for _, seconds := range []int64{p.ConfirmWait, p.DecisionTime, p.BinWait, p.WithdrawalWait, p.ReviewTime, p.HoldTime, p.BackupHorizon} {
		if seconds < 0 || seconds > MaxWait {
			return errSize
		}
	}
	return nil
}

func (d *VaultConfiguredDetails) Check() error {
	switch {
	case d.Rules < 1 || !count(d.Rules), len(d.LogKeys) == 0, len(d.LogKeys) > 16, len(d.Builds) > 64, len(d.TimestampRoots) > 16:
		return errSize
	case !ascending(d.TimestampRoots, Hash.Compare):
		return errOrder
	case slices.Contains(d.TimestampRoots, Hash{}):
		return errDigest
	case !validRecipient(d.Recovery):
		return errKeys
	case !printable(d.Version, 1, 64), !validWitness(d.Witness):
		return errText
	}
	for _, k := range d.LogKeys {
		if der, ok := decodeBase64(k); !ok || len(der) == 0 || len(der) > 2048 {
			return errKeys
		}
	}
	for _, b := range d.Builds {
		if !validHex(b) {
			return errDigest
		}
	}
	return d.Policy.check()
}

// validWitness accepts printable ASCII lines.
func validWitness(s string) bool {
	return printable(strings.ReplaceAll(s, "\n", " "), 0, 16<<10)
}

func (d *VaultConfirmedDetails) Check() error { return checkDigest(d.Event) }

func (d *VaultHeadsDetails) Check() error {
	switch {
	case !ascending(d.Void, cmp.Compare[int64]):
		return errOrder
	case d.Covers < 1, !count(d.Covers), d.Entries != d.Covers-int64(len(d.Void)),
		len(d.Void) > 0 && (d.Void[0] < 0 || d.Void[len(d.Void)-1] >= d.Covers):
		return Refuse(Invalid, ReasonCovers)
	}
	return checkDigest(d.Root)
}

func (d *VaultRecoveredDetails) Check() error {
	switch {
	case !ascending(d.Items, cmp.Compare[ItemID]):
		return errOrder
	case !allValid(d.Items):
		return errIdentifier
	}
	return cmp.Or(checkDigest(d.Recovery), checkCause(d.Cause))
}

func (d *VaultRestoredDetails) Check() error {
	if !count(d.Before) || !count(d.After) {
		return errSize
	}
	return checkTime(d.Backup)
}

func (d *VaultIncidentDetails) Check() error {
	switch {
	case d.Until != 0 && !moment(d.Until):
		return errTime
	case d.Until != 0 && d.Until < d.From:
		return Refuse(Invalid, ReasonWindow)
	}
	return cmp.Or(checkTime(d.From), checkCode(d.Code, "breach", "outage", "key_compromise", "witness_alarm", "data_damage"),
		checkCode(d.Scope, "vault", "organization", "case"))
}
