package dossier

import (
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// pageDigits are those of a page code: four groups of five, in letters of any script the same.
const pageDigits = 20

// PageCode stands at the foot of each printed page and names the event that the page stands on: of a print its item.exported, of a report
// the last step that it tells of. It is the first four of six groups of the event's leaf (FORMATS §9, §11).
func PageCode(event evidence.Hash) string {
	return strings.Join(strings.Fields(tlog.SixGroups(event))[:pageDigits/5], " ")
}

// ParsePageCode takes what somebody typed from paper, grouped by spaces or hyphens or not at all, in the form of PageCode.
func ParsePageCode(typed string) (string, error) {
	digits := strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(typed)
	if len(digits) != pageDigits || strings.Trim(digits, "0123456789") != "" {
		return "", evidence.Refuse(evidence.Invalid, ReasonPageCode)
	}
	return strings.Join([]string{digits[:5], digits[5:10], digits[10:15], digits[15:]}, " "), nil
}

// ReasonPageCode says that something is not a page code, or that no event is found that has it.
const ReasonPageCode = "page_code"
