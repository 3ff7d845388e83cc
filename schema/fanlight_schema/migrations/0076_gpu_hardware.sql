-- gpu_hardware: how many seconds of the reference GPU is one second of each GPU worth? A figure in seconds of the reference
-- GPU divided by reference_factor is one in seconds of this GPU, and so is a share of the reference GPU.
CREATE OR REPLACE VIEW gpu_hardware
(
    hardware         String  COMMENT 'GPU that there are rate cards for',
    reference_factor Float64 COMMENT 'Seconds of the reference GPU (H100 SXM) that one second of this GPU is worth, of the card that was written last'
)
AS
SELECT toString(hardware) AS hardware, argMax(reference_factor, (written_at, valid_from, model, profile)) AS reference_factor
FROM gpu_rate_cards
GROUP BY hardware
COMMENT 'GPUs that there are rate cards for, and what a second of each is worth in seconds of the reference GPU';
