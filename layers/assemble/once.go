package assemble

import "sync"

// once computes a value at most once, also when several ask at a time.
type once[T any] struct {
	once  sync.Once
	value T
	err   error
}

func (o *once[T]) do(f func() (T, error)) (T, error) {
	o.once.Do(func() { o.value, o.err = f() })
	return o.value, o.err
}
