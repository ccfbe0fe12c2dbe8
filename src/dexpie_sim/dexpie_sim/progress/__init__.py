"""How far an attempt is and what is going wrong, as a person who watches it would judge."""

from dexpie_sim.progress.oracle import Assessment, Judgement, OracleConfig, ProgressOracle, patience_of

__all__ = ["Assessment", "Judgement", "OracleConfig", "ProgressOracle", "patience_of"]
