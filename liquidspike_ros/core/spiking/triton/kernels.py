"""The Triton kernels of ``lif``: the only module of the library that imports Triton.

Both walk through the spike steps with the membrane potentials in registers, in single precision
whatever the tensors are in, ``CHUNK`` steps at a time, so that the loads of a chunk are all under
way before the first is used. ``T`` currents of ``STEPS`` steps each are ``total`` steps; ``EVEN``
says that they fill their chunks. Neurons lie as ``[group, row, column]``; beta and threshold differ
between groups and columns only. A program has a tile of ``BR`` rows and ``BC`` columns of a group.
"""

# mypy: ignore-errors
# Triton reads these functions as its own language: the only annotation it knows is constexpr.
import triton
import triton.language as tl


@triton.jit
def surrogate_slope(x, NAME: tl.constexpr, A: tl.constexpr, B: tl.constexpr):
    """Gradient of a spike with respect to the distance ``x`` to the threshold, as in snntorch."""
    if NAME == 'fast_sigmoid':
        base = A * tl.abs(x) + 1.0
        slope = 1.0 / (base * base)
    elif NAME == 'atan':
        scaled = (1.5707963267948966 * A) * x
        slope = (A / 2.0) / (1.0 + scaled * scaled)
    elif NAME == 'sigmoid':
        small = tl.exp(-A * tl.abs(x))  # even in x; this form cannot overflow
        slope = A * small / ((small + 1.0) * (small + 1.0))
    elif NAME == 'triangular':
        slope = tl.where(x >= 0.0, -A, A + x * 0.0)
    elif NAME == 'heaviside':
        slope = tl.where(x > 0.0, 1.0, x * 0.0)
    elif NAME == 'spike_rate_escape':
        slope = B * tl.exp(-A * tl.abs(x - 1.0))
    elif NAME == 'SFS':
        base = A * tl.abs(x) + 1.0
        slope = tl.where(x > B, 1.0 / (base * base), x * 0.0)
    else:  # straight_through_estimator
        slope = x * 0.0 + 1.0
    return slope


@triton.jit
def tile_of(rows, cols, BR: tl.constexpr, BC: tl.constexpr):
    """Group, row block, rows and columns of this program, and which of its places exist."""
    program = tl.program_id(0)
    col_blocks, row_blocks = tl.cdiv(cols, BC), tl.cdiv(rows, BR)
    block = (program // col_blocks) % row_blocks
    group = (program // (col_blocks * row_blocks)).to(tl.int64)  # places may pass 2**31
    row = (block * BR + tl.arange(0, BR)).to(tl.int64)
    col = (program % col_blocks) * BC + tl.arange(0, BC)
    inside = (row < rows)[:, None] & (col < cols)[None, :]
    return group, block, row, col, inside


@triton.jit(do_not_specialize=['rows', 'total'])
def lif_forward(
    current, membrane, beta, threshold, out, after, marks,
    rows, cols, total, cells,
    current_t, current_g, current_r, out_t, out_g, out_r,
    STEPS: tl.constexpr, RATES: tl.constexpr, MARK: tl.constexpr,
    EVEN: tl.constexpr, CHUNK: tl.constexpr, BR: tl.constexpr, BC: tl.constexpr,
):
    """Spikes (or one rate per current), last potential and, if ``MARK``, one potential a chunk."""
    group, _, row, col, inside = tile_of(rows, cols, BR, BC)
    place = (group * rows + row)[:, None] * cols + col[None, :]
    current += group * current_g + row[:, None] * current_r + col[None, :]
    out += group * out_g + row[:, None] * out_r + col[None, :]
    marks += place
    decay = tl.load(beta + group * cols + col, mask=col < cols, other=0.0).to(tl.float32)[None, :]
    limit = tl.load(threshold + group * cols + col, mask=col < cols, other=0.0
                    ).to(tl.float32)[None, :]
    potential = tl.load(membrane + place, mask=inside, other=0.0).to(tl.float32)
    count = potential * 0.0
    begin = group * 0
    for _ in range(tl.cdiv(total, CHUNK)):
        if MARK:
            tl.store(marks, potential, mask=inside)
            marks += cells
        drives = ()
        for i in tl.static_range(CHUNK):
            if i == 0 or STEPS % CHUNK != 0:
                drive = tl.load(current + ((begin + i) // STEPS) * current_t,
                                mask=inside & (EVEN or begin + i < total), other=0.0).to(tl.float32)
            drives = drives + (drive,)
        for i in tl.static_range(CHUNK):
            live = EVEN or begin + i < total
            reset = tl.where(potential > limit, limit, 0.0)
            potential = tl.where(live, decay * potential + drives[i] - reset, potential)
            spike = tl.where(potential > limit, 1.0, 0.0)
            if RATES:
                count += spike
                if STEPS % CHUNK != 0 or i == CHUNK - 1:
                    last = (begin + i + 1) % STEPS == 0
                    tl.store(out + ((begin + i) // STEPS) * out_t, count / STEPS,
                             mask=inside & (live & last))
                    count = tl.where(last, 0.0, count)
            else:
                tl.store(out + (begin + i) * out_t, spike, mask=inside & live)
        begin += CHUNK
    tl.store(after + place, potential, mask=inside)


@triton.jit(do_not_specialize=['rows', 'total'])
def lif_backward(
    current, beta, threshold, marks, grad_out, grad_after,
    grad_current, grad_membrane, grad_beta, grad_threshold,
    rows, cols, total, cells,
    current_t, current_g, current_r, out_t, out_g, out_r, grad_t, grad_g, grad_r,
    NAME: tl.constexpr, A: tl.constexpr, B: tl.constexpr,
    STEPS: tl.constexpr, RATES: tl.constexpr,
    FOR_BETA: tl.constexpr, FOR_THRESHOLD: tl.constexpr,
    EVEN: tl.constexpr, CHUNK: tl.constexpr, BR: tl.constexpr, BC: tl.constexpr,
):
    """Gradients; those of beta and threshold as one partial sum per group, row block and column.

    Chunks come last first: each is run again from its mark, then walked back.
    """
    group, block, row, col, inside = tile_of(rows, cols, BR, BC)
    place = (group * rows + row)[:, None] * cols + col[None, :]
    current += group * current_g + row[:, None] * current_r + col[None, :]
    grad_out += group * out_g + row[:, None] * out_r + col[None, :]
    grad_current += group * grad_g + row[:, None] * grad_r + col[None, :]
    decay = tl.load(beta + group * cols + col, mask=col < cols, other=0.0).to(tl.float32)[None, :]
    limit = tl.load(threshold + group * cols + col, mask=col < cols, other=0.0
                    ).to(tl.float32)[None, :]
    later = tl.load(grad_after + place, mask=inside, other=0.0).to(tl.float32)
    for_current = later * 0.0
    for_beta = later * 0.0
    for_threshold = later * 0.0
    chunks = tl.cdiv(total, CHUNK)
    begin = (group * 0 + chunks - 1) * CHUNK
    marks += place + (group * 0 + chunks - 1) * cells
    for _ in range(chunks):
        potential = tl.load(marks, mask=inside, other=0.0)
        marks -= cells
        drives, shares, potentials = (), (), (potential,)
        for i in tl.static_range(CHUNK):
            known = inside & (EVEN or begin + i < total)
            if i == 0 or STEPS % CHUNK != 0:
                tick = (begin + i) // STEPS
                drive = tl.load(current + tick * current_t, mask=known, other=0.0).to(tl.float32)
            if not RATES:
                share = tl.load(grad_out + (begin + i) * out_t, mask=known, other=0.0)
            elif i == 0 or STEPS % CHUNK != 0:
                share = tl.load(grad_out + tick * out_t, mask=known, other=0.0)
            drives, shares = drives + (drive,), shares + (share,)
        for i in tl.static_range(CHUNK):
            reset = tl.where(potential > limit, limit, 0.0)
            potential = decay * potential + drives[i] - reset
            potentials = potentials + (potential,)
        for i in tl.static_range(CHUNK - 1, -1, -1):
            live = EVEN or begin + i < total
            share = shares[i].to(tl.float32)
            if RATES:
                share = share / STEPS
            slope = surrogate_slope(potentials[i + 1] - limit, NAME, A, B)
            direct = tl.where(live, share * slope, 0.0)
            adjoint = tl.where(live, later + direct, 0.0)
            if FOR_BETA:
                for_beta += adjoint * potentials[i]
            if FOR_THRESHOLD:
                for_threshold -= direct + tl.where(potentials[i] > limit, adjoint, 0.0)
            later = tl.where(live, adjoint * decay, later)
            for_current += adjoint
            if STEPS % CHUNK != 0 or i == 0:
                first = (begin + i) % STEPS == 0
                tl.store(grad_current + ((begin + i) // STEPS) * grad_t, for_current,
                         mask=inside & (live & first))
                for_current = tl.where(first, 0.0, for_current)
        begin -= CHUNK
    tl.store(grad_membrane + place, later, mask=inside)
    partial = (group * tl.cdiv(rows, BR) + block) * cols + col
    if FOR_BETA:
        tl.store(grad_beta + partial, tl.sum(for_beta, 0), mask=col < cols)
    if FOR_THRESHOLD:
        tl.store(grad_threshold + partial, tl.sum(for_threshold, 0), mask=col < cols)
