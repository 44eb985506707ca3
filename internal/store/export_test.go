package store

// LowerLimits lowers the bounds of lists, so that small lists take the ways of big ones,
// too. Call it before the store is used.
func (s *Store) LowerLimits(broadMatches, countedEvents int64, pageBytes int) {
	for _, p := range []*pool{s.reader.pool, s.write} {
		p.limits = limits{
			broadMatches: broadMatches, countedUsers: countedEvents, countedEvents: countedEvents, pageBytes: pageBytes,
		}
	}
}
