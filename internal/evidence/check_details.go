package evidence

// Short forms of the refusals that these checks share.
var (
	errCode       = Refuse(Unknown, ReasonCode)
	errIdentifier = Refuse(Invalid, ReasonIdentifier)
	errDigest     = Refuse(Invalid, ReasonDigest)
	errTime       = Refuse(Invalid, ReasonTime)
	errOrder      = Refuse(Invalid, ReasonOrder)
	errSize       = Refuse(Invalid, ReasonSize)
	errText       = Refuse(Invalid, ReasonText)
	errKeys       = Refuse(Invalid, ReasonKeys)
)

func checkCause(c Cause) error {
	if !known(causes, c) {
		return errCode
	}
	return nil
}

func checkCode(code string, list ...string) error {
	if !known(list, code) {
		return errCode
	}
	return nil
}

func checkTime(t Time) error {
	if !moment(t) {
		return errTime
	}
	return nil
}

func checkDigest(h Hash) error {
	if h.IsZero() {
		return errDigest
	}
	return nil
}

func checkGrant(g GrantID) error {
	if !ValidID(g) {
		return errIdentifier
	}
	return nil
}

func checkHold(h HoldID) error {
	if !ValidID(h) {
		return errIdentifier
	}
	return nil
}

func allValid[T id](list []T) bool {
	for _, v := range list {
		if !ValidID(v) {
			return false
		}
	}
	return true
}
