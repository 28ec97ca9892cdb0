package tbsim

// queue is a ring that grows: first in, first out.
type queue[T any] struct {
	items []T // a power of two, or none
	head  int
	n     int
}

func (q *queue[T]) push(v T) {
	if q.n == len(q.items) {
		q.grow()
	}
	*q.at(q.n) = v
	q.n++
}

func (q *queue[T]) grow() {
	items := make([]T, max(16, 2*q.n))
	for i := range q.n {
		items[i] = *q.at(i)
	}
	q.items, q.head = items, 0
}

// at returns the place of the i-th item, counted from the oldest.
func (q *queue[T]) at(i int) *T { return &q.items[(q.head+i)&(len(q.items)-1)] }

func (q *queue[T]) pop() T {
	v := *q.at(0)
	q.head++
	q.n--
	return v
}
