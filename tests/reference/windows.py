"""Window positions of one axis by enumeration: where each output looks, found by sliding, not by a formula for the count."""


def starts(n, k, s=1, low=0, high=0, d=1, ceil=False):
    """First pixel of every window on pixels -low … n + high - 1; `ceil` keeps one that starts before n but sticks out."""
    reach = (k - 1) * d
    fitting = [p for p in range(-low, n + high) if (p + low) % s == 0 and p + reach < n + high]
    following = (fitting[-1] if fitting else -low - s) + s
    ragged = ceil and fitting and fitting[-1] + reach < n + high - 1 and following < n
    return [*fitting, following] if ragged else fitting


def pixels(n, k, s=1, low=0, high=0, d=1, ceil=False):
    """For each output the list of pixels it sees, padding included."""
    return [[p + t * d for t in range(k)] for p in starts(n, k, s, low, high, d, ceil)]
