package campaign

import (
	"slices"
	"syscall"
	"time"
)

// blow is something that befalls a cluster, and is over when it returns.
type blow struct {
	name   string
	strike func(c *cluster)
}

// toReplicas are blows to one of them.
var toReplicas = []blow{
	{"a replica is killed in the middle of an upload", func(c *cluster) {
		r := c.follower()
		c.await(atUpload, 5*time.Second)
		c.moment(50 * time.Millisecond)
		r.dies(c)
	}},
	{"the leader is killed in the middle of a commit, or right after an answer", func(c *cluster) {
		r := c.leads(anyOf)
		switch c.model.rand.IntN(2) {
		case 0:
			c.await(atCommit, 5*time.Second)
			c.moment(30 * time.Millisecond)
		case 1: // at once: what was said must be so already
			c.await(atReceipt, 5*time.Second)
		}
		r.dies(c)
	}},
	{"a replica is told to stop", func(c *cluster) {
		r := c.some()
		r.terminate()
		c.goOn(4)
		r.restart()
	}},
	{"a replica is cut off from the log", func(c *cluster) { c.some().isCutOff(c, inLog) }},
	{"a replica is cut off from the objects", func(c *cluster) { c.some().isCutOff(c, inObjects) }},
}

// toLeader are two that look the same to the others, and take some time.
var toLeader = []blow{
	{"the leader is stopped for longer than its leases, and goes on", func(c *cluster) {
		old := c.leads(anyOf)
		check(c, old.cmd.Process.Signal(syscall.SIGSTOP))
		c.leads(func(r *replica) bool { return r != old })
		c.goOn(6)
		check(c, old.cmd.Process.Signal(syscall.SIGCONT))
	}},
	{"the leader is cut off from the records", func(c *cluster) {
		old := c.leads(anyOf)
		old.cut(inRecords, true)
		c.leads(func(r *replica) bool { return r != old })
		c.goOn(4)
		old.cut(inRecords, false)
	}},
}

// toEngines are blows to what all replicas stand on.
var toEngines = []blow{
	{"PostgreSQL is stopped", func(c *cluster) {
		check(c, c.database.Stop())
		c.moment(2 * time.Second)
		check(c, c.database.Run(c.Context()))
	}},
	{"PostgreSQL is killed", func(c *cluster) {
		c.await(atCommit, 5*time.Second)
		c.database.Kill()
		check(c, c.database.Run(c.Context()))
	}},
	{"the log's signer is stopped", func(c *cluster) {
		c.log.Signer.Kill()
		c.goOn(2)
		check(c, c.log.Signer.Run(c.Context()))
	}},
	{"the log server is killed", func(c *cluster) {
		c.log.Server.Kill()
		c.goOn(2)
		check(c, c.log.Server.Run(c.Context()))
	}},
	{"the S3 server is killed", func(c *cluster) {
		c.await(atUpload, 5*time.Second)
		c.store.Kill()
		c.goOn(4)
		check(c, c.store.Run(c.Context()))
	}},
	{"answers to commits are lost", func(c *cluster) {
		before := c.lost()
		c.mood(inRecords, forgetful)
		c.until("answers to commits are lost", func() bool { return c.lost() >= before+5 })
		c.mood(inRecords, quiet)
	}},
	{"connections break", func(c *cluster) {
		for e := range engine(engines) {
			c.mood(e, brittle)
		}
		c.goOn(3)
		for e := range engine(engines) {
			c.mood(e, quiet)
		}
	}},
}

// neverTold are blows of the long run: a replica finds out after half a minute or a whole one that nothing comes any more.
var neverTold = []blow{
	{"a replica's connections to the records go nowhere", func(c *cluster) { c.some().lines[inRecords].lose() }},
	{"a replica's connections to the log go nowhere", func(c *cluster) { c.some().lines[inLog].lose() }},
	{"a replica's connections to the objects go nowhere", func(c *cluster) { c.some().lines[inObjects].lose() }},
}

func (r *replica) dies(c *cluster) {
	r.kill()
	c.goOn(4)
	r.restart()
}

func (r *replica) isCutOff(c *cluster, e engine) {
	r.cut(e, true)
	c.goOn(6)
	r.cut(e, false)
}

// moment passes, of some length.
func (c *cluster) moment(most time.Duration) {
	time.Sleep(time.Duration(c.model.rand.Int64N(int64(most))))
}

// blows are those of one round. Replicas come first: what a process left that was killed is waited for at the end.
func (c *cluster) blows() (list []blow) {
	if long {
		list = c.shuffled(slices.Concat(toReplicas, toLeader, neverTold, []blow{c.twoAtOnce(), c.twoAtOnce(), c.twoAtOnce()}))
	} else {
		list = c.shuffled(append(slices.Clone(toReplicas), toLeader[c.model.rand.IntN(len(toLeader))]))
	}
	return append(list, c.shuffled(toEngines)...)
}

func (c *cluster) shuffled(from []blow) (list []blow) {
	for _, i := range c.model.rand.Perm(len(from)) {
		list = append(list, from[i])
	}
	return list
}

// twoAtOnce is that a replica dies while something befalls an engine.
func (c *cluster) twoAtOnce() blow {
	b := toEngines[c.model.rand.IntN(len(toEngines))]
	return blow{"a replica is killed, and " + b.name, func(c *cluster) {
		r := c.some()
		r.kill()
		b.strike(c)
		r.restart()
	}}
}
